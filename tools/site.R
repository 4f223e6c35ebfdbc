# Run by tools/site.sh in a copy of the sources: builds the site to the folder that is its argument, then looks up every link inside of it.
# Without network, and without a browser.
folder <- commandArgs(TRUE)[[1L]]
knitted <- !"check" %in% commandArgs(TRUE)
options(pkgdown.internet = FALSE, rlang_interactive = FALSE)

# Pages that lie elsewhere in the sources -------------------------------------------------------------------------------------

# A bar in the code of a table's cell is "\|" for GitHub, which pandoc shows with its backslash.
code_with_bars <- function(lines) {
  spans <- gregexpr("`[^`]*\\\\[|][^`]*`", lines)
  regmatches(lines, spans) <- lapply(regmatches(lines, spans), function(code) {
    code <- gsub("&", "&amp;", gsub("`", "", code), fixed = TRUE)
    paste0("<code>", gsub("\\|", "&#124;", gsub("<", "&lt;", code, fixed = TRUE), fixed = TRUE), "</code>")
  })
  lines
}
page_of <- function(file, lines = readLines(file, encoding = "UTF-8")) writeLines(code_with_bars(lines), file)

readme <- readLines("README.md", encoding = "UTF-8")
to_page <- c("bench/README.md" = "bench.md", "bench/" = "bench.md", "inst/AUTHORS" = "crates.md")
for (path in names(to_page)) readme <- gsub(paste0("](", path, ")"), paste0("](", to_page[[path]], ")"), readme, fixed = TRUE)
readme <- sub(" align=\"right\"", "", readme, fixed = TRUE) # beside it the column is too narrow for code
page_of("README.md", gsub("](bench/", "](bench-", readme, fixed = TRUE))
for (table in list.files("bench", pattern = "[.]md$")) {
  lines <- readLines(file.path("bench", table), encoding = "UTF-8")
  lines <- gsub("\\]\\(([a-z-]+[.]md)\\)", "](bench-\\1)", lines)
  if (!any(startsWith(lines, "# "))) lines <- c(paste("# Benchmark:", sub("[.]md$", "", table)), "", lines)
  page_of(if (table == "README.md") "bench.md" else paste0("bench-", table), lines)
}
writeLines(c("# Authors of the crates", "", "```", readLines("inst/AUTHORS", encoding = "UTF-8"), "```"), "crates.md")

# Code as text, with the same headings.
if (!knitted) {
  for (article in list.files("vignettes", pattern = "[.]Rmd$", full.names = TRUE)) {
    lines <- sub("^(\\s*```)\\{r.*", "\\1r", readLines(article, encoding = "UTF-8"))
    writeLines(gsub("`r [^`]+`", "...", paste(lines, collapse = "\n")), article)
  }
}

pkgdown::check_pkgdown()
pkgdown::build_site(override = list(destination = folder), preview = FALSE, install = FALSE, new_process = FALSE)
for (picture in list.files("bench", pattern = "[.]png$", full.names = TRUE)) file.copy(picture, folder)

# Contents of a page ----------------------------------------------------------------------------------------------------------

# pkgdown leaves the list "On this page" to a script from elsewhere, which isn't there without network.
contents_of <- function(document) {
  headings <- xml2::xml_find_all(document, "//main//h2[@id or parent::div[@id]] | //main//h3[@id or parent::div[@id]]")
  lapply(headings, function(heading) {
    id <- xml2::xml_attr(heading, "id")
    if (is.na(id)) id <- xml2::xml_attr(xml2::xml_parent(heading), "id")
    list(id = id, text = trimws(xml2::xml_text(heading)), level = xml2::xml_name(heading))
  })
}
# Formulas as MathML, which browsers show by themselves.
formulas_of <- function(document) {
  spans <- xml2::xml_find_all(document, "//span[contains(@class, 'math')]")
  if (!length(spans)) return(invisible())
  tex <- gsub("\\s+", " ", gsub("^\\s*\\\\[(\\[]|\\\\[])]\\s*$", "", xml2::xml_text(spans)))
  display <- grepl("display", xml2::xml_attr(spans, "class"))
  files <- tempfile(fileext = c(".md", ".html"))
  writeLines(paste0(ifelse(display, "$$", "$"), tex, ifelse(display, "$$", "$"), "\n"), files[[1L]])
  rmarkdown::pandoc_convert(files[[1L]], from = "markdown", to = "html", output = files[[2L]], options = "--mathml")
  math <- xml2::xml_find_all(xml2::read_html(files[[2L]], encoding = "UTF-8"), "//math")
  if (length(math) != length(spans)) stop("a formula is no formula for pandoc")
  for (i in seq_along(spans)) xml2::xml_replace(spans[[i]], math[[i]])
}
write_contents <- function(page) {
  file <- file.path(folder, page)
  document <- xml2::read_html(file, encoding = "UTF-8")
  nav <- xml2::xml_find_first(document, "//nav[@id = 'toc']")
  scripts <- xml2::xml_find_all(document, "//script[contains(@src, 'bootstrap-toc')]")
  xml2::xml_attr(scripts, "integrity") <- NULL
  xml2::xml_attr(scripts, "crossorigin") <- NULL
  xml2::xml_attr(scripts, "src") <- NULL
  xml2::xml_text(scripts) <- "var Toc = {init: function() {}};"
  # Debian's pkgdown also names the builder's own MathJax.
  xml2::xml_remove(xml2::xml_find_all(document, "//script[starts-with(@src, 'file:')]"))
  formulas_of(document)
  contents <- contents_of(document)
  if (!is.na(nav) && !length(contents)) xml2::xml_remove(nav)
  if (!is.na(nav) && length(contents)) {
    list <- xml2::xml_add_child(nav, "ul", class = "nav flex-column")
    for (heading in contents) {
      item <- xml2::xml_add_child(list, "li", class = if (heading$level == "h3") "ps-3" else "")
      xml2::xml_add_child(item, "a", heading$text, class = "nav-link py-1", href = paste0("#", heading$id))
    }
  }
  xml2::write_html(document, file, encoding = "UTF-8", options = "as_html")
}
for (page in list.files(folder, pattern = "[.]html$", recursive = TRUE)) write_contents(page)

# Links --------------------------------------------------------------------------------------------------------------------

pages <- list.files(folder, pattern = "[.]html$", recursive = TRUE)
read_page <- function(page) xml2::read_html(file.path(folder, page), encoding = "UTF-8")
documents <- stats::setNames(lapply(pages, read_page), pages)
anchors <- lapply(documents, function(document) xml2::xml_text(xml2::xml_find_all(document, "//@id | //a/@name")))

links_of <- function(page) {
  found <- xml2::xml_text(xml2::xml_find_all(documents[[page]], "//a/@href | //img/@src | //link/@href | //script/@src"))
  data.frame(page = rep(page, length(found)), link = found)
}
links <- unique(do.call(rbind, lapply(pages, links_of)))
outside <- grepl("^([a-z]+:|//)", links$link)

# The file that a link leads to, in the site: "a/../b.html" is "b.html".
target <- function(page, link) {
  path <- utils::URLdecode(sub("[#?].*", "", link))
  if (!nzchar(path)) return(page)
  path <- if (startsWith(path, "/")) sub("^/+", "", path) else file.path(dirname(page), path)
  parts <- character()
  for (part in strsplit(path, "/", fixed = TRUE)[[1L]]) {
    parts <- if (part == "..") utils::head(parts, -1L) else if (part %in% c(".", "")) parts else c(parts, part)
  }
  path <- paste(parts, collapse = "/")
  if (dir.exists(file.path(folder, path))) sub("^/", "", file.path(path, "index.html")) else path
}
is_broken <- function(page, link) {
  path <- target(page, link)
  if (!file.exists(file.path(folder, path))) return(TRUE)
  anchor <- if (grepl("#.", link)) utils::URLdecode(sub("^[^#]*#", "", link)) else ""
  nzchar(anchor) && path %in% pages && !anchor %in% c(anchors[[path]], "top")
}

# pkgdown prints an example's error and goes on.
errors_in <- function(page) length(xml2::xml_find_all(documents[[page]], "//*[contains(@class, 'r-err') or contains(@class, 'error')]"))
failed <- Filter(errors_in, grep("^reference/", pages, value = TRUE))
if (length(failed)) stop("examples failed: ", toString(failed))

inside <- links[!outside, ]
broken <- inside[mapply(is_broken, inside$page, inside$link), ]
writeLines(sort(unique(links$link[outside])), file.path(folder, "external-links.txt"))
if (nrow(broken)) {
  print(broken, row.names = FALSE)
  stop("links that lead nowhere")
}
cat(sprintf("%d pages, %d links inside the site, none of them broken; %d other addresses are listed in external-links.txt\n",
  length(pages), nrow(inside), length(unique(links$link[outside]))))
