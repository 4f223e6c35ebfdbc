//! Linear mixed models: the engine behind the R package fastlmer. It knows nothing of R.
