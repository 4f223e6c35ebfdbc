//! What can go wrong with a request.

/// Why there is no fit.
#[derive(Clone, Debug, PartialEq)]
pub enum FitError {
    /// The caller's `interrupted` said so.
    Interrupted,
    /// What is wrong with the request, in a sentence for the user.
    Invalid(String),
    /// The machine is too small for it, in a sentence for the user.
    TooLarge(String),
}

impl From<String> for FitError {
    fn from(text: String) -> Self {
        FitError::Invalid(text)
    }
}

impl From<&str> for FitError {
    fn from(text: &str) -> Self {
        FitError::Invalid(text.into())
    }
}
