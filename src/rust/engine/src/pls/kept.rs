//! Two factorisations of one design: one that moves with the search, and one that stays where many searches start.

use crate::model::lambda::Lambda;

/// What a factorisation leaves behind that depends on Lambda alone.
pub trait AtLambda {
    /// The Lambda that it belongs to, if it belongs to any.
    fn lambda(&self) -> Option<&Lambda>;
}

/// The present factorisation, and the one that is kept.
pub struct Kept<F> {
    moving: F,
    pinned: Option<F>,
    at_pinned: bool,
}

impl<F: AtLambda> Kept<F> {
    /// Nothing is kept yet.
    pub fn new(moving: F) -> Self {
        Kept { moving, pinned: None, at_pinned: false }
    }

    /// The present factorisation.
    pub fn now(&self) -> &F {
        match &self.pinned {
            Some(pinned) if self.at_pinned => pinned,
            _ => &self.moving,
        }
    }

    /// The present factorisation.
    pub fn now_mut(&mut self) -> &mut F {
        match &mut self.pinned {
            Some(pinned) if self.at_pinned => pinned,
            _ => &mut self.moving,
        }
    }

    /// Makes that at a Lambda the present one. False where there is none: the present one is then to be overwritten.
    pub fn find(&mut self, lambda: &Lambda) -> bool {
        self.at_pinned = self.pinned.as_ref().is_some_and(|pinned| pinned.lambda() == Some(lambda));
        self.at_pinned || self.moving.lambda() == Some(lambda)
    }

    /// Keeps the present factorisation in place of an older one; `another` allocates for the search to go on.
    pub fn pin(&mut self, another: impl FnOnce() -> F) {
        if !self.at_pinned {
            let next = self.pinned.take().unwrap_or_else(another);
            self.pinned = Some(std::mem::replace(&mut self.moving, next));
            self.at_pinned = true;
        }
    }
}
