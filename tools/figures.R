# Draws the pictures of README.md, with the installed package: Rscript tools/figures.R
suppressPackageStartupMessages(library(fastlmer))
fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
picture <- ggplot2::autoplot(fit) + ggplot2::theme_minimal(base_size = 12) + ggplot2::theme(legend.position = "bottom")
ggplot2::ggsave("man/figures/shrinkage.png", picture, width = 7, height = 6, dpi = 120, bg = "white")
