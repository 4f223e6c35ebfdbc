//! Two factorisations of one design: one that moves with the search, and one that stays where many searches start, for all who search.

use std::any::Any;
use std::sync::Arc;

use crate::model::lambda::Lambda;

/// What a factorisation leaves behind that depends on Lambda alone.
pub trait AtLambda {
    /// The Lambda that it belongs to, if it belongs to any.
    fn lambda(&self) -> Option<&Lambda>;
}

/// A factorisation, and what derivatives share there, to be read by all problems of its design with the same criterion, on any thread.
#[derive(Clone)]
pub struct Pinned(Arc<dyn Any + Send + Sync>);

/// The present factorisation, and the one that is kept.
pub struct Kept<F> {
    moving: F,
    pinned: Option<Arc<F>>,
    at_pinned: bool,
}

impl<F: AtLambda + Send + Sync + 'static> Kept<F> {
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

    /// The present factorisation to be worked on, unless it is the one that is kept, on which nothing is left to do.
    pub fn moving(&mut self) -> Option<&mut F> {
        (!self.at_pinned).then_some(&mut self.moving)
    }

    /// Makes that at a Lambda the present one. False where there is none: the one that moves is then to be overwritten.
    pub fn find(&mut self, lambda: &Lambda) -> bool {
        self.at_pinned = self.pinned.as_ref().is_some_and(|pinned| pinned.lambda() == Some(lambda));
        self.at_pinned || self.moving.lambda() == Some(lambda)
    }

    /// Keeps the present factorisation in place of an older one; `another` allocates for the search to go on.
    pub fn pin(&mut self, another: impl FnOnce() -> F) -> Pinned {
        let pinned = match &self.pinned {
            Some(pinned) if self.at_pinned => pinned.clone(),
            _ => Arc::new(std::mem::replace(&mut self.moving, another())),
        };
        self.keep(pinned.clone());
        self.at_pinned = true;
        Pinned(pinned)
    }

    /// Keeps what another problem of the design has pinned; there is no present factorisation until [`Kept::find`].
    pub fn share(&mut self, pinned: &Pinned) {
        if let Ok(pinned) = pinned.0.clone().downcast() {
            self.keep(pinned);
        }
    }

    fn keep(&mut self, pinned: Arc<F>) {
        self.pinned = Some(pinned);
        self.at_pinned = false;
    }
}
