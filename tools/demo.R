# The worked example of a lecture on linear mixed models: does a lack of sleep slow people down? Run by tools/demo.sh.

library(fastlmer)
library(ggplot2)

folder <- commandArgs(trailingOnly = TRUE)[1]
heading <- function(text) cat("\n", strrep("=", 80), "\n", text, "\n\n", sep = "")

# lme4's sleepstudy and two more participants of whom little is known.
df.sleep <- setNames(sleepstudy, c("reaction", "days", "subject"))
df.sleep$subject <- as.character(df.sleep$subject)
df.sleep <- rbind(
  df.sleep,
  data.frame(reaction = c(286, 288, 245), days = c(0, 1, 0), subject = c("374", "374", "373"))
)

heading("Partial pooling: intercepts and slopes differ between participants")
formula <- reaction ~ 1 + days + (1 + days | subject)
fit <- lmer(formula, data = df.sleep)
print(summary(fit))

heading("Coefficients of each participant")
print(coef(fit)$subject)

heading("Marginal effects (ggeffects)")
effects <- as.data.frame(ggeffects::ggpredict(fit, terms = "days", type = "fe"))
print(effects[c("x", "predicted", "std.error", "conf.low", "conf.high")], digits = 6)

heading("Percentile interval of the slope from 1000 parametric bootstrap replicates (boot)")
set.seed(1)
boot_time <- system.time(replicates <- bootMer(fit, FUN = fixef, nsim = 1000))[["elapsed"]]
print(boot::boot.ci(replicates, index = 2, type = "perc"))
cat(sprintf("\nbootMer took %.2f seconds\n", boot_time))

# The picture ---------------------------------------------------------------------------------------------------------

complete <- coef(lm(reaction ~ days, df.sleep))
separate <- t(sapply(split(df.sleep, df.sleep$subject), function(d) coef(lm(reaction ~ days, d))))
separate[is.na(separate)] <- 0 # one observation has no slope: drawn flat, as the lecture does
subjects <- rownames(separate)
partial <- coef(fit)$subject[subjects, ]
methods <- c("complete pooling", "no pooling", "partial pooling")
lines <- data.frame(
  subject = rep(subjects, 3),
  method = factor(rep(methods, each = length(subjects)), methods),
  intercept = c(rep(complete[[1]], length(subjects)), separate[, 1], partial[, 1]),
  slope = c(rep(complete[[2]], length(subjects)), separate[, 2], partial[, 2])
)
picture <- ggplot(df.sleep, aes(x = days, y = reaction)) +
  geom_abline(aes(intercept = intercept, slope = slope, colour = method), lines, linewidth = 0.7) +
  geom_point(size = 1.2) +
  facet_wrap(~subject, ncol = 5) +
  scale_x_continuous(breaks = seq(0, 8, 2)) +
  scale_colour_manual(values = c("#999999", "#E69F00", "#0072B2")) +
  labs(
    x = "Days of sleep deprivation", y = "Average reaction time (ms)", colour = NULL,
    title = "Partial pooling borrows strength",
    subtitle = "Little is known of participants 373 and 374: their lines lean on everyone else's"
  ) +
  theme_minimal(base_size = 11) +
  theme(legend.position = "top", panel.grid.minor = element_blank())
file <- file.path(folder, "partial-pooling.png")
ggsave(file, picture, width = 8, height = 8, dpi = 120, bg = "white")

# Speed ---------------------------------------------------------------------------------------------------------------

milliseconds <- function(call, times = 50) {
  call() # warm up
  median(replicate(times, system.time(call(), gcFirst = FALSE)[["elapsed"]])) * 1000
}
time_per_fit <- function(lmer) milliseconds(function() for (i in 1:10) lmer(formula, data = df.sleep)) / 10

heading("The same call, fastlmer and lme4")
ours <- time_per_fit(fastlmer::lmer)
theirs <- time_per_fit(lme4::lmer)
cat(sprintf("%-10s %8.2f ms for a fit\n", c("fastlmer", "lme4"), c(ours, theirs)), sep = "")
cat(sprintf("fastlmer is %.1f times as fast\n", theirs / ours))
cat("\nPicture of the three kinds of pooling: ", file, "\n", sep = "")
