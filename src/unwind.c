/* R leaves a C function that fails by a jump, which must not cross Rust's frames. fastlmer_guarded() ends such a jump: it returns
   `token`, Rust's frames return one after the other, and R/engine-value.R calls fastlmer_resume(), which goes on with the jump. */
#include <setjmp.h>
#include <Rinternals.h>
#include <R_ext/Rdynload.h>

typedef SEXP (*guarded_body)(void *);

void fastlmer_install_guard(SEXP (*guard)(guarded_body, void *), SEXP token, SEXP jump, SEXP tag);

static SEXP token;

static void leave(void *place, Rboolean jumps)
{
    if (jumps) longjmp(*(jmp_buf *) place, 1);
}

/* body(data), or `token` where R jumped out of it. */
static SEXP fastlmer_guarded(guarded_body body, void *data)
{
    jmp_buf place;
    if (setjmp(place)) return token;
    return R_UnwindProtect(body, data, leave, &place, token);
}

static SEXP fastlmer_resume(void)
{
    R_ContinueUnwind(token);
    return R_NilValue;
}

/* Hands to Rust the guard, the condition that stands for a jump (a list with the function that goes on with it), and the tag of our
   external pointers. */
void fastlmer_init_guard(void)
{
    SEXP jump, names, class, resume;
    token = R_MakeUnwindCont();
    R_PreserveObject(token);
    jump = PROTECT(Rf_allocVector(VECSXP, 1));
    resume = PROTECT(R_MakeExternalPtrFn((DL_FUNC) fastlmer_resume, Rf_install("native symbol"), R_NilValue));
    SET_VECTOR_ELT(jump, 0, resume);
    names = PROTECT(Rf_mkString("resume"));
    Rf_setAttrib(jump, R_NamesSymbol, names);
    class = PROTECT(Rf_allocVector(STRSXP, 2));
    SET_STRING_ELT(class, 0, Rf_mkChar("fastlmer_jump"));
    SET_STRING_ELT(class, 1, Rf_mkChar("condition"));
    Rf_setAttrib(jump, R_ClassSymbol, class);
    R_PreserveObject(jump);
    fastlmer_install_guard(fastlmer_guarded, token, jump, Rf_install("fastlmer engine"));
    UNPROTECT(4);
}
