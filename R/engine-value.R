# What the engine hands back is a value or a condition (src/rust/src/condition.rs); a condition is signalled here, so
# that the user reads "Error: text" and not the engine's own long call. The wrappers in extendr-wrappers.R call this.
engine_value <- function(value) {
  if (inherits(value, "condition")) {
    # R failed inside the engine, for want of memory say, and goes on from here to whoever handles that (src/unwind.c).
    if (inherits(value, "fastlmer_jump")) do.call(.Call, list(value$resume))
    if (inherits(value, "interrupt")) {
      signalCondition(value)
      invokeRestart("abort")
    }
    stop(value)
  }
  value
}
