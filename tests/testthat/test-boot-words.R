fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)

test_that("a statistic of known parts is the same computed at once and on each fit", {
  days <- data.frame(Days = c(0, 5, NA, 9))
  icc <- function(f) {
    v <- as.data.frame(VarCorr(f))
    v$vcov[1] / sum(v[v$grp != "Subject" | is.na(v$var2), "vcov"])
  }
  statistics <- list(
    fixef, sigma, AIC, function(f) getME(f, "theta"), function(f) c(a = fixef(f)[["Days"]], icc(f), log(sigma(f)) - 1),
    function(f) predict(f, newdata = days, re.form = NA), function(f) predict(f, lme4::sleepstudy[c(5, 77), ]),
    function(f) predict(f, data.frame(Days = 1:2, Subject = c("308", "new")), allow.new.levels = TRUE),
    function(f) unlist(VarCorr(f)), function(f) return(VarCorr(f)$Subject["Days", "(Intercept)"]),
    function(.) c(attr(VarCorr(.)$Subject, "stddev"), r = attr(VarCorr(.)[["Subject"]], "correlation")[1, 2], s = sigma(.)),
    function(f) ranef(f)$Subject[["Days"]], function(f) unlist(ranef(f)), function(f) c(logLik(f), REMLcrit(f), isSingular(f)),
    function(f) {
      s <- as.data.frame(VarCorr(f))$sdcor
      names(s) <- NULL
      return(setNames(s^2, letters[1:4]))
    }
  )
  for (FUN in statistics) {
    withr::local_options(fastlmer.vocabulary = TRUE)
    at_once <- bootMer(fit, FUN, nsim = 4, seed = 1)
    withr::local_options(fastlmer.vocabulary = FALSE)
    each <- bootMer(fit, FUN, nsim = 4, seed = 1)
    expect_equal(at_once[c("t0", "t", "seed")], each[c("t0", "t", "seed")], tolerance = 1e-9, label = deparse1(body(FUN)))
  }
})
