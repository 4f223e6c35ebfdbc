# Run by tools/check.sh: lintr on the R code of the package, its tests and its tools, by the rules in .lintr.
lints <- lintr::lint_dir(".", pattern = "[.]R$")
print(lints)
quit(status = if (length(lints) > 0) 1 else 0)
