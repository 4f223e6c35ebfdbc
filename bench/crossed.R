# Crossed subjects and items, two factors that vary within subjects, one of them within items as well.
crossed <- function(subjects = 60, items = 50) {
  set.seed(1)
  data <- expand.grid(item = factor(seq_len(items)), subj = factor(seq_len(subjects)))
  subject <- as.integer(data$subj)
  item <- as.integer(data$item)
  data$A <- factor(ifelse((subject + item) %% 2 == 0, "a1", "a2"))
  data$B <- factor(ifelse(item <= items / 2, "b1", "b2"))
  a <- as.numeric(data$A == "a2")
  b <- as.numeric(data$B == "b2")
  data$y <- 10 + a + 0.5 * b + 0.3 * a * b + rnorm(subjects, sd = 2)[subject] + rnorm(subjects, sd = 0.8)[subject] * a +
    rnorm(items)[item] + rnorm(items, sd = 0.5)[item] * a + rnorm(nrow(data), sd = 3)
  data
}
