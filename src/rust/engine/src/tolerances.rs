//! Every number that decides whether something is small, equal or far: its value, its unit, and why it isn't another.
//!
//! Sizes that only choose the quicker of two ways to the same result (orders of matrices, numbers of rows) stand where they are used.

// ---- Linear algebra: shares of what rounding works on ----

/// A column of a triangular factor is rounding where it is no more than this share of the terms that its elements are sums of: some
/// fifty units of a double's last place, for as many operations.
pub const VANISHED: f64 = 1e-14;

/// A pivot no larger than this share of the diagonal element (or sum of squares) that it started from is what rounding has left of zero.
/// A pivot is a square: a column is dropped where 3e-7 of its length is left, twice what orthogonal columns of 1000 rows lose.
pub const LEFT_BY_ROUNDING: f64 = 1e-13;

/// A triangular matrix is inverted where its least pivot is more than this share of its largest element: four digits are lost at most.
pub const INVERTIBLE: f64 = 1e-4;

/// What earlier rows of a hypothesis leave of a row, beside its own length, where it says nothing new.
pub const REPEATED: f64 = 1e-7;

/// Eigenvalue of an information matrix with a unit diagonal below which the data say nothing about a combination of variances.
pub const UNINFORMED: f64 = 1e-10;

// ---- Cross-products ----

/// A raw column of a stream counts as a combination of earlier ones where no more than this share of its square is left: chunks are on
/// bases of their own, which costs digits.
pub const COLLINEAR: f64 = 1e-9;

/// A base is given up where a sum of squares on it is more than this many times that on the best one: two digits are lost at most.
pub const FAR_BASE: f64 = 100.0;

/// A column of a random-effects term of which X and earlier columns leave no more than this share of its sum of squares is theirs.
pub const SPANNED: f64 = 1e-10;

/// The coefficient of a column of X, beside the largest one or the size of what is spanned, from which on it takes part in spanning.
pub const TAKES_PART: f64 = 1e-6;

/// Squares of a column that differ by less than this share are one square in rows of equal weight.
pub const EQUAL_SQUARES: f64 = 1e-12;

/// Residuals no larger than this, relative to the terms of the sums that they are what is left of, are rounding.
pub const EXACT: f64 = 16.0 * f64::EPSILON;

/// A column of X of which earlier ones leave no more than this share of its length is a combination of them: R's own limit, qr()'s `tol`.
pub const ALIASED: f64 = 1e-7;

/// A level that loses rows is formed again from those that it keeps where it keeps less than this share of a sum of squares: else what is
/// left of a sum has at most twice its rounding.
pub const DEPLETED: f64 = 0.5;

/// Without some rows a column of X, beside earlier ones, keeps at least this share of its length, or all products are formed anew: what
/// rounding left of the sums, some 1e-16 of squares, is then at most 1e-8 of what they say.
pub const LEFT_OF_COLUMN: f64 = 1e-4;

/// Without some rows a response keeps at least this share of its sum of squares, or it is reduced anew: a digit is lost at most.
pub const LEFT_OF_RESPONSE: f64 = 0.1;

// ---- The criterion: in its own unit, that of minus twice a log likelihood ----

/// Two values that differ by less are one value to the user: standard errors would change in the tenth digit.
pub const CHANGE: f64 = 1e-9;

/// Decrease that a Newton step must promise to be taken.
pub const PROMISE: f64 = 1e-10;

/// An exact Newton step of at most this length, where an element of theta's own size is one, is taken without an evaluation: what is then
/// left to go is of the order of its square.
pub const SHORT_STEP: f64 = 1e-4;

/// It must promise no more than this, which is what it could be wrong by where the criterion is flat of higher order.
pub const SHORT_STEP_PROMISE: f64 = 1e-8;

/// A last step that promises too little for the value to tell is taken up to this length: beyond it nothing says that it squares the error.
pub const LAST_STEP: f64 = 1e-2;

/// A search has found no optimum where rounding hides more of a decrease than this, and the step to it is longer than [`LAST_STEP`]:
/// likelihood ratios are printed with three decimals.
pub const UNRESOLVED: f64 = 1e-3;

/// Decrease that still counts after [`crate::optimise::trust_region::PATIENCE`] evaluations.
pub const PATIENT_PROMISE: f64 = 1e-8;

/// Decrease that a step must promise to be taken on a profile: its root is what the profile's zeta is off by where it is zero, and at two
/// it is off by a quarter of this.
pub const PROFILE_PROMISE: f64 = 1e-8;

/// Where the criterion isn't convex a step isn't taken that lets its rounding grow by more than a third of its decrease. Where the residual
/// variance goes to zero rounding grows fourfold whenever theta doubles, and its own ups and downs would be taken for the criterion's.
pub const DOUBT: f64 = 3.0;

/// Relative error of a sum of some logarithms.
pub const SUM_OF_LOGARITHMS: f64 = 1e-15;

/// Step of the central differences of the gradient, beside the size of an element of theta: their own error is its square, and the
/// gradient's rounding is divided by it.
pub const DIFFERENCE: f64 = 1e-4;

/// How much the criterion may rise at first where the far end of a ridge is tried.
pub const ALONG_RIDGE: f64 = 1e-3;

/// A negative second derivative of the criterion in a covariance, in natural units, is one from here on.
pub const NEGATIVE_CURVATURE: f64 = 1e-6;

/// Least second derivative of a certified minimum, along theta in units of the effects' relative standard deviations.
pub const LEAST_CURVATURE: f64 = 1e-6;

/// Second derivative along theta, in units of the effects' relative standard deviations, up to which a direction says nothing of theta's
/// covariance: what lmerTest takes for zero.
pub const VANISHING_CURVATURE: f64 = 1e-8;

// ---- Lambda: in residual standard deviations, for columns of size one ----

/// Least absolute value of a diagonal while optimising: derivatives in the covariance are obtained through Lambda^-1, and what this adds
/// to the criterion is below its rounding.
pub const FLOOR: f64 = 1e-7;

/// Where the step of scoring to the first start sets out.
pub const FIRST_START: f64 = 0.5;

/// Where the step of scoring sets out to the second start of a singular fit.
pub const OTHER_START: f64 = 0.1;

/// Standard deviation of a singular term's effects in a singular fit's third start.
pub const FAR_FROM_ZERO: f64 = 1.0;

// ---- Lambda: in natural sizes, at which a level's data and its prior weigh the same ----

/// A diagonal below this is tried at exactly zero.
pub const NEAR_ZERO: f64 = 1e-2;

/// A diagonal below this makes a ridge of the elements below it and the diagonals of their rows.
pub const RIDGE: f64 = 0.1;

/// Two points are near each other where no covariance differs by more than this.
pub const NEAR: f64 = 0.05;

/// Share of the information that a level's effects can have in the data, below which a direction of the scoring step counts as flat.
pub const FLAT: f64 = 1e-8;

/// Least variance of a start, in any direction.
pub const LEAST_VARIANCE: f64 = 1e-2;
