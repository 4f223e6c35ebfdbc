library(testthat)
library(fastlmer)

test_check("fastlmer")
