/* R looks for R_init_fastlmer. It hands over to the Rust library; the reference also keeps the linker from dropping that library. */
#include <R_ext/Rdynload.h>

void R_init_fastlmer_extendr(DllInfo *dll);
void register_extendr_panic_hook(void);
void fastlmer_init_guard(void);

void R_init_fastlmer(DllInfo *dll)
{
    /* A panic becomes an R error; without this hook it would also print to stderr. EXTENDR_BACKTRACE=true brings that back. */
    register_extendr_panic_hook();
    R_init_fastlmer_extendr(dll);
    fastlmer_init_guard();
}
