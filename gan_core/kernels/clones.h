/* VECTORISED functions are compiled for several instruction sets, and the processor's is taken. */

#include <stdint.h> /* which says whether the C library is glibc: others cannot choose at load */

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define VECTORISED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VECTORISED
#endif
