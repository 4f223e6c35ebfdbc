# emmeans' degrees of freedom for fits that the engine can take: of any size, and without pbkrtest or lmerTest. All but the covariance
# matrix and the degrees of freedom of a reference grid is emmeans' own.

hook_into_emmeans <- function() register_when_loaded("emmeans", "emm_basis", "lmerMod", em_emm_basis, replace = TRUE)

em_emm_basis <- function(object, trms, xlev, grid, ...) {
  arguments <- list(...)
  wanted <- df_method(arguments)
  own <- function(...) their_method("emmeans", "emm_basis")(object, trms, xlev, grid, ...)
  if (is.null(wanted) || !is.null(arguments[["vcov."]])) return(own(...))
  df <- tryCatch(df_function(wanted, object), fastlmer_too_large = function(e) NULL)
  if (is.null(df)) return(own(...))
  arguments$lmer.df <- "asymptotic"
  basis <- do.call(own, arguments, quote = TRUE)
  basis[names(df)] <- df
  basis
}

# What emmeans would use if the data had few rows: "kenward-roger", "satterthwaite", or NULL for no degrees of freedom of ours.
df_method <- function(arguments) {
  option <- function(name) arguments[[name]] %||% emmeans::get_emm_option(name)
  mode <- tolower(arguments[["lmer.df"]] %||% arguments[["mode"]] %||% emmeans::get_emm_option("lmer.df"))
  methods <- c("satterthwaite", "kenward-roger", "asymptotic")
  mode <- if (is.character(mode) && length(mode) == 1L) methods[pmatch(mode, methods)] else NA
  if (is.na(mode) || mode == "asymptotic" || (mode == "satterthwaite" && !is.null(arguments[["options"]]$df))) return(NULL)
  disabled <- option(if (mode == "kenward-roger") "disable.pbkrtest" else "disable.lmerTest")
  if (!isTRUE(disabled)) mode
}

# Parts of a reference grid's basis; NULL where the engine has none.
df_function <- function(method, fit) {
  if (method == "kenward-roger") kenward_roger_basis(fit) else satterthwaite_basis(fit)
}

# More work than this (in multiplications) isn't done unasked.
most_work <- 1e11

kenward_roger_basis <- function(fit) {
  record <- engine_of(fit)
  if (is.null(record) || engine_kr_work(engine_pointer(record)) > most_work) return(NULL)
  parts <- kenward_roger(fit)
  if (is.null(parts)) return(NULL)
  values <- engine_kr_values(parts$state)
  names <- list(parts$names, parts$names)
  args <- list(root = values$root, P = values$p, W = values$w)
  list(
    V = matrix(parts$adjusted * parts$sigma^2, nrow = length(parts$beta), dimnames = names), dfargs = args,
    dffun = structure(kenward_roger_df, mesg = "kenward-roger")
  )
}

# Of the hypotheses in the rows of `k`, from plain numbers: emmeans evaluates it where only R's own functions are known, also in another
# session. With w = root'k, u an orthonormal basis of these and D_i = u'P_iu: Kenward and Roger's A1 = sum of W_ij tr(D_i)tr(D_j) and
# A2 = sum of W_ij tr(D_iD_j), and the degrees of freedom that follow.
kenward_roger_df <- function(k, dfargs) {
  if (!is.matrix(k)) k <- matrix(k, nrow = 1L)
  found <- qr(crossprod(dfargs$root, t(k)))
  q <- found$rank
  if (q == 0L) return(NA_real_)
  u <- qr.qy(found, diag(1, nrow(dfargs$root), q))
  p <- nrow(u)
  d <- vapply(seq_len(ncol(dfargs$P)), function(i) crossprod(u, matrix(dfargs$P[, i], p) %*% u), numeric(q * q))
  dim(d) <- c(q * q, ncol(dfargs$P))
  traces <- colSums(d[seq(1L, q * q, by = q + 1L), , drop = FALSE])
  a1 <- sum(dfargs$W * outer(traces, traces))
  a2 <- sum(dfargs$W * crossprod(d))
  g <- ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
  b <- (a1 + 6 * a2) / (2 * q)
  below <- 3 * q + 2 * (1 - g)
  v <- 1 + c(g, g - q, g - q - 2) / below * b
  left <- 1 - a2 / q
  ratio <- if (abs(left) < 1e-14 && abs(v[[2L]]) < 1e-14) 1 else left / v[[2L]]
  rho <- ratio^2 * (if (abs(v[[1L]]) < 1e-10) 0 else v[[1L]]) / v[[3L]] / q
  4 + (q + 2) / (q * rho - 1)
}

satterthwaite_basis <- function(fit) {
  parts <- satterthwaite_parts(fit)
  if (is.null(parts)) return(NULL)
  list(dfargs = parts, dffun = structure(satterthwaite_df_of, mesg = "satterthwaite"))
}
