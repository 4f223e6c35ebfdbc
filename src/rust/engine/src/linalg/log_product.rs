//! The logarithm of a product of many factors.

/// The logarithm of a product: one logarithm of as many factors as a double holds the product of.
pub struct LogProduct {
    logarithms: f64,
    product: f64,
}

impl Default for LogProduct {
    #[inline(always)]
    fn default() -> Self {
        LogProduct { logarithms: 0.0, product: 1.0 }
    }
}

impl LogProduct {
    /// One factor more.
    #[inline(always)]
    pub fn multiply(&mut self, factor: f64) {
        let product = self.product * factor;
        if (1e-300..1e300).contains(&product) {
            self.product = product;
        } else {
            self.logarithms += self.product.ln();
            self.product = factor;
        }
    }

    /// The logarithm.
    #[inline(always)]
    pub fn ln(&self) -> f64 {
        self.logarithms + self.product.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(factors: &[f64]) -> f64 {
        let mut product = LogProduct::default();
        factors.iter().for_each(|&factor| product.multiply(factor));
        product.ln()
    }

    #[test]
    fn a_product_beyond_a_doubles_range_has_its_logarithm() {
        for factors in [vec![], vec![3.0, 0.5], vec![1e200; 40], vec![1e-200; 40], vec![1e308, 1e-308, 1e308, 1e308, 2.0], vec![7.3; 5000]]
        {
            let expected: f64 = factors.iter().map(|v: &f64| v.ln()).sum();
            assert!((of(&factors) - expected).abs() <= 1e-12 * expected.abs(), "{} for {expected}", of(&factors));
        }
        assert_eq!(of(&[2.0, 0.0, 3.0]), f64::NEG_INFINITY);
        assert!(of(&[2.0, f64::NAN, 3.0]).is_nan());
        assert_eq!(of(&[2.0, f64::INFINITY, 3.0]), f64::INFINITY);
    }
}
