//! What can go wrong with a request.

use std::fmt;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The caller's `interrupted` said so.
    Interrupted,
    /// What is wrong with the request, in a sentence for the user.
    Invalid(String),
    /// Data have a value that is missing or not finite, in a sentence for the user.
    NotFinite(String),
    /// A matrix is not positive definite, so that nothing can be computed at the covariance parameters.
    NotPositiveDefinite,
    /// The machine is too small for it, in a sentence for the user.
    TooLarge(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Interrupted => f.write_str("interrupted"),
            Error::Invalid(text) | Error::NotFinite(text) | Error::TooLarge(text) => f.write_str(text),
            Error::NotPositiveDefinite => f.write_str("the criterion cannot be computed at these covariance parameters (theta)"),
        }
    }
}

impl std::error::Error for Error {}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Error::Invalid(text)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Error::Invalid(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_reads_a_sentence() {
        for (error, text) in [
            (Error::from("no rows"), "no rows"),
            (Error::NotFinite("NA/NaN/Inf in 'y'".into()), "NA/NaN/Inf in 'y'"),
            (Error::NotPositiveDefinite, "the criterion cannot be computed at these covariance parameters (theta)"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
