# An error of ours that lme4's way would hide is signalled.
withr::local_options(fastlmer.strict = TRUE, .local_envir = testthat::teardown_env())
