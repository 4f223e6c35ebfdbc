//! Eigenvalues of small symmetric matrices.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{self, ComputeEigenvectors};
use faer::{ColMut, MatMut, MatRef, Par};

fn large_symmetric_eigen(a: &[f64], k: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let (mut values, mut vectors) = (vec![0.0; k], vec![0.0; k * k]);
    let mut memory = MemBuffer::new(evd::self_adjoint_evd_scratch::<f64>(k, ComputeEigenvectors::Yes, Par::Seq, Default::default()));
    let done = evd::self_adjoint_evd(
        MatRef::from_column_major_slice(a, k, k),
        ColMut::from_slice_mut(&mut values).as_diagonal_mut(),
        Some(MatMut::from_column_major_slice_mut(&mut vectors, k, k)),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    );
    done.ok().filter(|()| values.iter().all(|v| v.is_finite())).map(|()| (values, vectors))
}

/// Eigenvalues (ascending) and eigenvectors (columns) of a symmetric matrix: of more than a few rows by faer, else (or where that
/// fails) by cyclic Jacobi rotations (Golub and Van Loan, Matrix Computations, 4th edition, section 8.5).
pub fn symmetric_eigen(a: &[f64], k: usize) -> (Vec<f64>, Vec<f64>) {
    const FEW: usize = 4;
    if k > FEW {
        if let Some(found) = large_symmetric_eigen(a, k) {
            return found;
        }
    }
    let mut a = a.to_vec();
    let mut v = vec![0.0; k * k];
    (0..k).for_each(|i| v[i * k + i] = 1.0);
    for _sweep in 0..60 {
        let off: f64 = (0..k).flat_map(|c| (c + 1..k).map(move |r| (r, c))).map(|(r, c)| a[c * k + r] * a[c * k + r]).sum();
        let diagonal: f64 = (0..k).map(|i| a[i * k + i] * a[i * k + i]).sum();
        if off <= 1e-32 * diagonal || off == 0.0 {
            break;
        }
        for c in 0..k {
            for r in c + 1..k {
                rotate(&mut a, &mut v, k, c, r);
            }
        }
    }
    let mut values: Vec<f64> = (0..k).map(|i| a[i * k + i]).collect();
    for end in 1..k {
        let mut at = end;
        while at > 0 && values[at] < values[at - 1] {
            values.swap(at, at - 1);
            (0..k).for_each(|j| v.swap(at * k + j, (at - 1) * k + j));
            at -= 1;
        }
    }
    (values, v)
}

/// One Jacobi rotation that makes a[p, q] zero.
fn rotate(a: &mut [f64], v: &mut [f64], k: usize, p: usize, q: usize) {
    let apq = a[p * k + q];
    if apq == 0.0 {
        return;
    }
    let tau = (a[q * k + q] - a[p * k + p]) / (2.0 * apq);
    let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let t = if tau == 0.0 { 1.0 } else { t };
    let c = 1.0 / (1.0 + t * t).sqrt();
    let s = t * c;
    for i in 0..k {
        let (x, y) = (a[p * k + i], a[q * k + i]);
        a[p * k + i] = c * x - s * y;
        a[q * k + i] = s * x + c * y;
    }
    for i in 0..k {
        let (x, y) = (a[i * k + p], a[i * k + q]);
        a[i * k + p] = c * x - s * y;
        a[i * k + q] = s * x + c * y;
    }
    for i in 0..k {
        let (x, y) = (v[p * k + i], v[q * k + i]);
        v[p * k + i] = c * x - s * y;
        v[q * k + i] = s * x + c * y;
    }
}
