# The slides' code, with the slides' numbers. What the text form of the slides garbled (a lost space, sign or column) was checked
# against lme4 and is named where it occurs.

test_that("the vignette generates the slides' data frames", {
  data <- lecture_data()
  expect_csv <- function(ours, name) {
    theirs <- slides_csv(name)
    ours <- as.data.frame(ours)[names(theirs)]
    for (column in names(theirs)) {
      if (is.factor(ours[[column]])) ours[[column]] <- as.character(ours[[column]])
      mode(theirs[[column]]) <- mode(ours[[column]])
    }
    expect_equal(ours, theirs, tolerance = 1e-14, ignore_attr = "row.names", label = name)
  }
  expect_csv(data$df.sleep, "sleep")
  expect_csv(data$df.test, "test")
  expect_csv(data$df.outlier, "outlier")
  expect_csv(data$df.slopes, "slopes")
  expect_csv(data$df.mixture, "mixture")
  expect_csv(data$df.hetero, "hetero")
  expect_csv(data$df.simpson, "simpson")
  expect_csv(data$df.original, "original")
})

# A worked example -----------------------------------------------------------------------------------------------------

test_that("complete pooling and no pooling come before any lmer()", {
  df.sleep <- lecture_data()$df.sleep
  expect_slide(coef(lm(reaction ~ 1 + days, data = df.sleep)), "252.32070 10.32766")
})

test_that("no pooling: each participant's line of the slide", {
  df.sleep <- lecture_data()$df.sleep
  lines <- t(sapply(split(df.sleep, df.sleep$subject), function(of_one) coef(lm(reaction ~ days, data = of_one))))
  lines[is.na(lines)] <- 0 # as complete(fill = ) does
  expect_slide(lines, "
    308 244.1927 21.764702
    309 205.0549 2.261785
    310 203.4842 6.114899
    330 289.6851 3.008073
    331 285.7390 5.266019
    332 264.2516 9.566768
    333 275.0191 9.142045
    334 240.1629 12.253141
    335 263.0347 -2.881034
    337 290.1041 19.025974
    349 215.1118 13.493933
    350 225.8346 19.504017
    351 261.1470 6.433498
    352 276.3721 13.566549
    369 254.9681 11.348109
    370 210.4491 18.056151
    371 253.6360 9.188445
    372 267.0448 11.298073
    373 245.0000 0.000000
    374 286.0000 2.000000")
})

test_that("random intercepts: the coefficients of the slide", {
  df.sleep <- lecture_data()$df.sleep
  fit <- lmer(formula = reaction ~ 1 + days + (1 | subject), data = df.sleep)
  expect_slide(coef(fit)$subject, "
    308  292.2749 10.43191
    309  174.0559 10.43191
    310  188.7454 10.43191
    330  256.0247 10.43191
    331  261.8141 10.43191
    332  259.8262 10.43191
    333  268.0765 10.43191
    334  248.6471 10.43191
    335  206.5096 10.43191
    337  323.5643 10.43191
    349  230.5114 10.43191
    350  265.6957 10.43191
    351  243.7988 10.43191
    352  287.8850 10.43191
    369  258.6454 10.43191
    370  245.2931 10.43191
    371  248.3508 10.43191
    372  269.6861 10.43191
    373  248.2086 10.43191
    374  273.9400 10.43191")
  expect_printed_alike(summary(fit), summary(at_optimum(fit)))
})

test_that("random slopes: the coefficients of the slide", {
  df.sleep <- lecture_data()$df.sleep
  fit <- lmer(formula = reaction ~ 1 + days + (0 + days | subject), data = df.sleep)
  expect_slide(coef(fit)$subject, "
    308  252.2965 19.9526801
    309  252.2965 -4.3719650
    310  252.2965 -0.9574726
    330  252.2965  8.9909957
    331  252.2965 10.5394285
    332  252.2965 11.3994289
    333  252.2965 12.6074020
    334  252.2965 10.3413879
    335  252.2965 -0.5722073
    337  252.2965 24.2246485
    349  252.2965  7.7702676
    350  252.2965 15.0661415
    351  252.2965  7.9675415
    352  252.2965 17.0002999
    369  252.2965 11.6982767
    370  252.2965 11.3939807
    371  252.2965  9.4535879
    372  252.2965 13.4569059
    373  252.2965 10.4142695
    374  252.2965 11.9097917", within = 2e-7)
  expect_printed_alike(summary(fit), summary(at_optimum(fit)))
})

# lme4's optimiser stopped at a variance of 582.73 on the slides; at the optimum it is 582.70. The slides' own comparison of
# optimisers has 24.13911 for its root, which is the optimum's.
test_that("random intercepts and slopes: the coefficients of the slide, at the optimum", {
  df.sleep <- lecture_data()$df.sleep
  fit <- lmer(formula = reaction ~ 1 + days + (1 + days | subject), data = df.sleep)
  optimum <- at_optimum(fit)
  expect_slide(coef(fit)$subject, "
    308  253.9479 19.6264139
    309  211.7328  1.7319567
    310  213.1579  4.9061843
    330  275.1425   5.6435987
    331  273.7286   7.3862680
    332  260.6504  10.1632535
    333  268.3684 10.2245979
    334  244.5523 11.4837825
    335  251.3700 -0.3355554
    337  286.2321 19.1090061
    349  226.7662 11.5531963
    350  238.7807  17.0156766
    351  256.2344   7.4119501
    352  272.3512 13.9920698
    369  254.9484  11.2985741
    370  226.3701  15.2027922
    371  252.5051   9.4335432
    372  263.8916  11.7253342
    373  248.9752 10.3915245
    374  271.1451 11.0782697", within = 1e-4)
  expect_equal(coef(fit)$subject, coef(optimum)$subject, tolerance = 1e-7)
  expect_slide(VarCorr(fit), "24.13911 5.918866~ 0.069 25.48261")
})

test_that("shrinkage: the standard deviations of the slide", {
  data <- lecture_data()
  df.sleep <- data$df.sleep
  skip_if_not_installed("broom")
  skip_if_not_installed("purrr")
  df.no_pooling <- df.sleep %>%
    group_by(subject) %>%
    nest(data = c(days, reaction)) %>%
    mutate(
      fit = purrr::map(data, ~ lm(reaction ~ days, data = .)),
      params = purrr::map(fit, broom::tidy)
    ) %>%
    unnest(c(params)) %>%
    ungroup() %>%
    select(subject, term, estimate) %>%
    complete(subject, term, fill = list(estimate = 0)) %>%
    pivot_wider(names_from = term, values_from = estimate) %>%
    data$clean_names()
  expect_slide(as.data.frame(df.no_pooling[, -1]), "
    1  244.1927 21.764702
    2  205.0549  2.261785
    3  203.4842  6.114899
    4  289.6851  3.008073
    5  285.7390  5.266019
    6  264.2516  9.566768
    7  275.0191  9.142045
    8  240.1629 12.253141
    9  263.0347 -2.881034
    10 290.1041 19.025974
    11 215.1118 13.493933
    12 225.8346 19.504017
    13 261.1470  6.433498
    14 276.3721 13.566549
    15 254.9681 11.348109
    16 210.4491 18.056151
    17 253.6360  9.188445
    18 267.0448 11.298073
    19 245.0000  0.000000
    20 286.0000  2.000000")

  # The slide's table is that of the 18 participants of sleepstudy alone. Its 21.59 is 21.596 at the optimum.
  before <- lmer(formula = reaction ~ 1 + days + (1 + days | subject), data = filter(df.sleep, !subject %in% c("373", "374")))
  sds <- rbind(sapply(df.no_pooling[1:18, -1], sd), sapply(coef(before)$subject, sd))
  rownames(sds) <- c("no pooling", "partial pooling")
  expect_slide(round(sds, 2), "no pooling 28.95 6.56 partial pooling 21.59~ 5.46")
})

# The slides' version of ggeffects made its intervals with normal quantiles, 1.2 makes them with t quantiles: the estimates and
# their standard errors are compared, and the slide's intervals with those that they give.
test_that("marginal effects: the table of the slide", {
  df.sleep <- lecture_data()$df.sleep
  skip_if_not_installed("ggeffects")
  fit.random_intercept_slope <- lmer(formula = reaction ~ 1 + days + (1 + days | subject), data = df.sleep)
  df.plot <- ggeffects::ggpredict(model = fit.random_intercept_slope, terms = "days", type = "fixed")
  df.plot <- as.data.frame(df.plot)[c("x", "predicted", "std.error")]
  # As in the table on the slide, which shows the early stop.
  expect_slide(data.frame(df.plot[-1], row.names = df.plot$x), "
    0  252.5426  6.433144
    1  262.9947  6.407157
    2  273.4468  6.743391
    3  283.8989  7.392586
    4  294.3510  8.281466
    5  304.8032  9.341862
    6  315.2553 10.522045
    7  325.7074 11.786086
    8  336.1595 13.109751
    9  346.6117 14.476693", within = 1e-4)
  normal <- transform(df.plot, low = predicted - 1.96 * std.error, high = predicted + 1.96 * std.error)
  expect_slide(normal[c("low", "high")], "
    1  239.9338 265.1513
    2  250.4369 275.5525
    3  260.2300 286.6636
    4  269.4097 298.3881
    5  278.1197 310.5824
    6  286.4935 323.1129
    7  294.6325 335.8781
    8  302.6071 348.8077
    9  310.4649 361.8542
    10 318.2379 374.9855", within = 1e-5)

  of_lme4 <- as.data.frame(ggeffects::ggpredict(at_optimum(fit.random_intercept_slope), terms = "days", type = "fixed"))
  expect_equal(df.plot, of_lme4[names(df.plot)], tolerance = 1e-6)
})

# Simulated participants -------------------------------------------------------------------------------------------------

# On the slide the correlation's heading has a second column, `condition1`, that R doesn't print.
test_that("outliers: the summaries of the slides", {
  data <- lecture_data()
  df.test <- data$df.test
  fit.test <- lmer(formula = value ~ 1 + condition + (1 | participant), data = df.test)
  expect_slide(summary(fit.test), "
    Linear mixed model fit by REML ['lmerMod']
    Formula: value ~ 1 + condition + (1 | participant)
    REML criterion at convergence: 74.9
    Scaled residuals:
    -1.9268 -0.5412 -0.1103  0.4868  1.7747
     participant (Intercept) 0.1702   0.4125
     Residual                0.2270   0.4764
    Number of obs: 40, groups: participant, 20
    (Intercept)  1.0920    0.1409   7.75
    condition1   2.0726    0.1507  13.76
    condition1   -0.535")
  expect_printed_alike(summary(fit.test), summary(at_optimum(fit.test)))

  df.test <- data$df.outlier
  fit.test <- lmer(formula = value ~ 1 + condition + (1 | participant), data = df.test)
  expect_slide(summary(fit.test), "
    Formula: value ~ 1 + condition + (1 | participant)
    REML criterion at convergence: 171.7
    -1.4038 -0.4678 -0.0094  0.5800  1.3930
     participant (Intercept) 46.198   6.7969
     Residual                 0.227   0.4764
    Number of obs: 40, groups: participant, 20
    (Intercept)  2.5920    1.5236  1.701
    condition1   2.0726    0.1507 13.758
    condition1 -0.049")
  expect_printed_alike(summary(fit.test), summary(at_optimum(fit.test)))
})

test_that("simulate() draws lme4's data from the same seed", {
  df.test <- lecture_data()$df.test
  fit.test <- lmer(formula = value ~ 1 + condition + (1 | participant), data = df.test)
  ours <- fit.test %>% simulate(seed = 1)
  simulate_by_lme4 <- getS3method("simulate", "merMod", envir = asNamespace("lme4"))
  theirs <- at_optimum(fit.test) %>% simulate_by_lme4(seed = 1)
  expect_equal(ours$sim_1, theirs$sim_1, tolerance = 1e-6)
})

# Newer versions of lme4 print `optimizer (nloptwrap) convergence code: 0 (OK)` and `boundary (singular) fit: see help(...)` where
# the slide has `convergence code: 0` and `singular fit`: the same number.
test_that("different slopes: the singular fit of the slide", {
  df.test <- lecture_data()$df.slopes
  expect_message(
    fit.test <- lmer(formula = value ~ 1 + condition + (1 | participant), data = df.test),
    "boundary (singular) fit: see help('isSingular')",
    fixed = TRUE
  )
  expect_slide(summary(fit.test), "
    Formula: value ~ 1 + condition + (1 | participant)
    REML criterion at convergence: 83.6
    -3.5808 -0.3184 0.0130 0.4551 2.0913
    participant (Intercept) 0.0000 0.0000
    Residual 0.4512 0.6717
    Number of obs: 40, groups: participant, 20
    (Intercept) 0.190524 0.150197 1.268
    condition2 -0.001941 0.212411 -0.009
    condition2 -0.707
    convergence code: 0")
  expect_printed_alike(summary(fit.test), summary(at_optimum(fit.test)))
})

test_that("different slopes: more parameters than data points are refused", {
  df.test <- lecture_data()$df.slopes
  expect_error(
    lmer(formula = value ~ 1 + condition + (1 + condition | participant), data = df.test),
    paste(
      "number of observations (=40) <= number of random effects (=40) for term (1 + condition | participant); the",
      "random-effects parameters and the residual variance (or scale parameter) are probably unidentifiable"
    ),
    fixed = TRUE
  )
})

# The second slide has 0.5954 for the residual standard deviation, the root of 0.3521 being 0.5934 as on the first: a misread digit.
test_that("mixture of participants: the summaries of the slides", {
  df.mixed <- lecture_data()$df.mixture
  fit <- lmer(formula = value ~ 1 + condition + (1 | participant), data = df.mixed)
  expect_slide(summary(fit), "
    Formula: value ~ 1 + condition + (1 | participant)
    REML criterion at convergence: 165.6
    -1.6437 -0.4510 -0.0246  0.4987  1.5265
    participant (Intercept) 21.5142  4.6383
    Residual             0.3521  0.5934
    Number of obs: 40, groups: participant, 20
    (Intercept)  7.2229    1.0456  6.908
    condition1   1.6652    0.1876  8.875
    condition1 -0.090")
  expect_printed_alike(summary(fit), summary(at_optimum(fit)))

  fit <- lmer(formula = value ~ 1 + group + condition + (1 | participant), data = df.mixed)
  expect_slide(summary(fit), "
    Formula: value ~ 1 + group + condition + (1 | participant)
    REML criterion at convergence: 83.7
    -1.56168 -0.69876  0.05887  0.50419  2.30259
    participant (Intercept) 0.1147  0.3387
    Residual           0.3521  0.5934
    Number of obs: 40, groups: participant, 20
    (Intercept) -6.8299    0.4055 -16.842
    group        9.0663    0.2424  37.409
    condition1   1.6652    0.1876   8.875
    group     -0.926
    condition1 -0.231  0.000")
  expect_printed_alike(summary(fit), summary(at_optimum(fit)))
})

test_that("heterogeneity in variance: the summary of the slide", {
  df.mixed <- lecture_data()$df.hetero
  fit <- lmer(formula = value ~ 1 + group + condition + (1 | participant), data = df.mixed)
  expect_slide(summary(fit), "
    Formula: value ~ 1 + group + condition + (1 | participant)
    REML criterion at convergence: 250
    -2.70344 -0.21278  0.07355  0.43873  1.39493
    participant (Intercept) 17.60    4.196
    Residual             26.72    5.169
    Number of obs: 40, groups: participant, 20
    (Intercept) -26.5805   4.1525 -6.401
    group        29.6200   2.5010 11.843
    condition1    0.1853   1.6346  0.113
    group  -0.934
    condition1 -0.197  0.000")
  expect_printed_alike(summary(fit), summary(at_optimum(fit)))
})

test_that("Simpson's paradox: the summaries of the slides", {
  df.simpson <- lecture_data()$df.simpson
  expect_slide(lm(formula = y ~ x, data = df.simpson) %>% summary(), "
    -5.8731 -0.6362  0.2272  1.0051  2.6410
    (Intercept) -7.1151    0.2107 -33.76 <2e-16 ***
    x             6.3671    0.3631  17.54 <2e-16 ***
    Signif. codes:  0 '***' 0.001 '**' 0.01 '*' 0.05 '.' 0.1 ' ' 1
    Residual standard error: 1.55 on 198 degrees of freedom
    Multiple R-squared:  0.6083, Adjusted R-squared:  0.6064
    F-statistic: 307.5 on 1 and 198 DF,  p-value: < 2.2e-16")

  fit <- lmer(formula = y ~ 1 + x + (1 | participant), data = df.simpson)
  expect_slide(summary(fit), "
    Formula: y ~ 1 + x + (1 | participant)
    REML criterion at convergence: 345.1
    -2.43394 -0.59687 0.04493 0.62694 2.68828
    participant (Intercept) 21.4898 4.6357
    Residual 0.1661 0.4075
    Number of obs: 200, groups: participant, 20
    (Intercept) -0.1577 1.3230 -0.119
    x -7.6678 1.6572 -4.627
    x -0.621")
  expect_printed_alike(summary(fit), summary(at_optimum(fit)))
})

# Bootstrapping --------------------------------------------------------------------------------------------------------

# The slide's interval, (6.45, 14.26), was drawn without a seed. Each seed gives its own interval: the slide's ends must lie within
# the central 99 % of what three hundred seeds give.
test_that("bootstrap: the slide's interval lies within Monte Carlo error", {
  df.sleep <- lecture_data()$df.sleep
  skip_if_not_installed("boot")
  fit.lmer <- lmer(formula = reaction ~ 1 + days + (1 + days | subject), data = df.sleep)
  ends <- vapply(1:300, function(seed) {
    boot.lmer <- suppressMessages(bootMer(fit.lmer, FUN = fixef, nsim = 100, seed = seed))
    boot::boot.ci(boot.lmer, index = 2, type = "perc")$percent[4:5]
  }, numeric(2))
  inside <- function(slide, drawn) slide > quantile(drawn, 0.005) && slide < quantile(drawn, 0.995)
  expect_true(inside(6.45, ends[1, ]))
  expect_true(inside(14.26, ends[2, ]))
})

# p-values -------------------------------------------------------------------------------------------------------------

# The slide's headings are those of an older lme4 (Df, Chi Df); the order of the numbers is the same.
test_that("model comparison: the table of the slide", {
  df.original <- lecture_data()$df.original
  fit.compact <- lmer(formula = value ~ 1 + (1 | participant), data = df.original)
  fit.augmented <- lmer(formula = value ~ 1 + condition + (1 | participant), data = df.original)
  expect_message(table <- anova(fit.compact, fit.augmented), "refitting model(s) with ML (instead of REML)", fixed = TRUE)
  expect_slide(table, "
    fit.compact: value ~ 1 + (1 | participant)
    fit.augmented: value ~ 1 + condition + (1 | participant)
    fit.compact     3 53.315 58.382 -23.6575     47.315
    fit.augmented   4 17.849 24.605  -4.9247      9.849 37.466          1 9.304e-10 ***
    Signif. codes:  0 '***' 0.001 '**' 0.01 '*' 0.05 '.' 0.1 ' ' 1")
})

test_that("lmerTest: the summary of the slide", {
  df.sleep <- lecture_data()$df.sleep
  skip_if_no_lmerTest()
  slide <- "
    Formula: reaction ~ 1 + days + (1 + days | subject)
    REML criterion at convergence: 1771.4
    -3.9707 -0.4703 0.0276 0.4594 5.2009
    subject (Intercept) 582.73~ 24.140~
    days 35.03 5.919 0.07
    Residual 649.36 25.483
    Number of obs: 183, groups: subject, 20
    (Intercept) 252.543 6.433 19.294~ 39.256~ < 2e-16 ***
    days 10.452 1.542 17.163~ 6.778 3.06e-06~ ***
    Signif. codes: 0 '***' 0.001 '**' 0.01 '*' 0.05 '.' 0.1 ' ' 1
    days -0.137"
  # As on the slide, where lmerTest makes the fit, and ours made lmerTest's.
  by_lmerTest <- lmerTest::lmer(formula = reaction ~ 1 + days + (1 + days | subject), data = df.sleep) %>% summary()
  expect_slide(by_lmerTest, slide)
  ours <- lmer(formula = reaction ~ 1 + days + (1 + days | subject), data = df.sleep)
  expect_slide(summary(lmerTest::as_lmerModLmerTest(ours)), slide)
  expect_equal(
    coef(summary(lmerTest::as_lmerModLmerTest(ours))),
    coef(summary(lmerTest::as_lmerModLmerTest(at_optimum(ours)))),
    tolerance = 1e-4
  )
})

# Multi-level models ---------------------------------------------------------------------------------------------------

# The slides' lme4 stopped early here too (8.2046, 93.8433). Of their tables of coefficients the text form lost the column
# `social`, whose value is on the next slide but one only for the crossed model, and moved `(Intercept)` among the rows.
test_that("nested: the summary and coefficients of the slides", {
  attach_tidyverse()
  df.school <- slides_csv("school")
  fit.nested <- lmer(extro ~ open + agree + social + (1 | school / class), data = df.school)
  printed <- sub("Fixed effects:.*", "", printout(fit.nested %>% summary()))
  expect_slide(printed, "
    Formula: extro ~ open + agree + social + (1 | school/class)
    REML criterion at convergence: 3554.6
    -9.9949 -0.3348  0.0057  0.3394 10.6476
    class:school   (Intercept) 8.2046~  2.8644~
    school         (Intercept) 93.8433~ 9.6873~
    Residual                    0.9684  0.9841
    Number of obs: 1200, groups: class:school, 24; school, 6")
  optimum <- at_optimum(fit.nested)
  expect_printed_alike(summary(fit.nested), summary(optimum))

  coefs <- fit.nested %>% coef()
  slide <- "
    a:I   53.77106 b:I  59.54852 c:I   62.28460 d:I   64.14113
    a:II  58.23842 b:II 59.62643 c:II  60.74743 d:II  61.81189
    a:III 58.71819 b:III 59.70219 c:III 60.70970 d:III 61.65165
    a:IV  58.68813 b:IV 59.73276 c:IV  60.86062 d:IV  61.83703
    a:V   58.68268 b:V  59.87036 c:V   60.80225 d:V   62.13593
    a:VI  56.23088 b:VI 58.14865 c:VI  61.10164 d:VI  66.66561"
  # In the last digit of five decimals the slide shows the early stop.
  expect_equal(coefs$`class:school`[["(Intercept)"]], c(matrix(as.numeric(numbers_in(slide)), ncol = 4, byrow = TRUE)), tolerance = 5e-7)
  expect_equal(coefs$school[["(Intercept)"]], c(46.44407, 54.20862, 58.29847, 62.15074, 66.41348, 73.91156), tolerance = 5e-7)
  expect_equal(unique(coefs$school$open), 0.006106514, tolerance = 1e-6)
  expect_equal(unique(coefs$school$agree), -0.007665927, tolerance = 1e-6)
  expect_equal(coefs, coef(optimum), tolerance = 1e-7)
})

# Further from the optimum: 95.914 on the slide, where the criterion is lowest at 95.888.
test_that("crossed: the summary and coefficients of the slides", {
  attach_tidyverse()
  df.school <- slides_csv("school")
  fit.crossed <- lmer(extro ~ open + agree + social + (1 | school) + (1 | class), data = df.school)
  printed <- sub("Fixed effects:.*", "", printout(fit.crossed %>% summary()))
  expect_slide(printed, "
    Formula: extro ~ open + agree + social + (1 | school) + (1 | class)
    REML criterion at convergence: 4723.9
    -7.8677 -0.5421  0.0101  0.5218  8.2282
    school   (Intercept) 95.914~   9.794~
    class    (Intercept)  5.787~   2.406
    Residual            2.787   1.669
    Number of obs: 1200, groups: school, 6; class, 4")
  optimum <- at_optimum(fit.crossed)
  expect_printed_alike(summary(fit.crossed), summary(optimum))

  coefs <- fit.crossed %>% coef()
  expect_slide(coefs$school, "
    46.10663 0.01083374~ -0.005420032~ -0.001761963~
    54.02956 0.01083374~ -0.005420032~ -0.001761963~
    58.22277~ 0.01083374~ -0.005420032~ -0.001761963~
    62.15508 0.01083374~ -0.005420032~ -0.001761963~
    66.51062 0.01083374~ -0.005420032~ -0.001761963~
    74.16838 0.01083374~ -0.005420032~ -0.001761963~")
  expect_slide(coefs$class, "
    57.35175~ 0.01083374~ -0.005420032~ -0.001761963~
    59.39261 0.01083374~ -0.005420032~ -0.001761963~
    61.04758~ 0.01083374~ -0.005420032~ -0.001761963~
    63.00342 0.01083374~ -0.005420032~ -0.001761963~")
  expect_equal(coefs, coef(optimum), tolerance = 1e-7)
})

# Pitfalls -------------------------------------------------------------------------------------------------------------

test_that("with the correlation: the summary of the slide", {
  df.sleep <- lecture_data()$df.sleep
  fit.lmer <- lmer(formula = reaction ~ 1 + days + (1 + days | subject), data = df.sleep)
  expect_slide(fit.lmer %>% summary(), "
    Formula: reaction ~ 1 + days + (1 + days | subject)
    REML criterion at convergence: 1771.4
    -3.9707 -0.4703  0.0276  0.4594  5.2009
    subject (Intercept) 582.73~   24.140~
              days       35.03   5.919   0.07
    Residual            649.36   25.483
    Number of obs: 183, groups: subject, 20
    (Intercept) 252.543    6.433 39.256~
    days         10.452    1.542  6.778
    days -0.137")
  expect_printed_alike(summary(fit.lmer), summary(at_optimum(fit.lmer)))
})

# Of the `||` the slide repeats the printout of the model that is written out. R prints the formula with the bars expanded and
# the terms the other way round; the numbers are the same.
test_that("without the correlation: the summary of the slide, in both ways to write it", {
  df.sleep <- lecture_data()$df.sleep
  slide <- "
    Formula: reaction ~ 1 + days + (0 + days | subject) + (1 | subject)
    REML criterion at convergence: 1771.5
    -3.9805~ -0.4673  0.0250  0.4589  5.2083
    subject  days       35.88    5.99
    subject.1 (Intercept) 598.11~   24.46
    Residual           647.90~   25.45
    Number of obs: 183, groups: subject, 20
    (Intercept) 252.550    6.491  38.907~
    days         10.439    1.556   6.708
    days -0.184"
  written_out <- lmer(formula = reaction ~ 1 + days + (0 + days | subject) + (1 | subject), data = df.sleep)
  expect_slide(written_out %>% summary(), slide)
  expect_printed_alike(summary(written_out), summary(at_optimum(written_out)))

  bars <- lmer(formula = reaction ~ 1 + days + (1 + days || subject), data = df.sleep)
  expect_printed_alike(summary(bars), summary(at_optimum(bars)))
  expect_equal(REMLcrit(bars), REMLcrit(written_out), tolerance = 1e-10)
  expect_equal(coef(summary(bars)), coef(summary(written_out)), tolerance = 1e-6)
})

# The two nloptwrap rows of the slide are those that stopped early.
test_that("allFit: the comparison of the slide", {
  skip_if_not_installed("optimx") # without it and dfoptim lme4's allFit() fails
  df.sleep <- lecture_data()$df.sleep
  fit.lmer <- lmer(formula = reaction ~ 1 + days + (1 + days | subject), data = df.sleep)
  fit.all <- suppressWarnings(suppressMessages(allFit(fit.lmer, verbose = FALSE)))
  comparison <- fit.all %>% summary()
  slide <- c("bobyqa", "Nelder_Mead", "nlminbwrap", "nloptwrap.NLOPT_LN_NELDERMEAD", "nloptwrap.NLOPT_LN_BOBYQA")
  expect_true(all(slide %in% rownames(comparison$fixef)))
  rows <- intersect(rownames(comparison$fixef), slide)
  expect_true(all(vapply(fit.all[rows], is_fastlmer, NA)))
  expect_equal(round(comparison$fixef[rows, "(Intercept)"], 4), rep(252.5426, 5), ignore_attr = TRUE)
  expect_equal(round(comparison$fixef[rows, "days"], 5), rep(10.45212, 5), ignore_attr = TRUE)
  expect_equal(round(comparison$llik[rows], 4), rep(-885.7239, 5), ignore_attr = TRUE)
  at <- matrix(c(24.13911, 5.918866, 0.06927657, 25.48261), nrow = 5, ncol = 4, byrow = TRUE)
  expect_equal(as.matrix(comparison$sdcor[rows, ]), at, tolerance = 5e-5, ignore_attr = TRUE)
})
