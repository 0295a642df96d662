/* Fully connected networks of many members, forwards and backwards, float32: a member at a time,
   so that all it touches stays in the processor's cache, and each layer's bias, activation and
   derivative on its sums while they are in registers. A member's numbers depend on nothing but its
   own. Plain C with GCC's vectors; gan_core/kernels/mlp.py has the same structures. */

#include <stdlib.h>
#include <string.h>

#define VERSION 3 /* of this folder's structures and functions: library.py asks for it */

enum { NO_VECTORS = 0, AVX2 = 2, AVX512 = 512, AVX512_BF16 = 516 };
enum { NOTHING, ACTIVATION, TANH, DERIVATIVE };

typedef struct {
    long inputs, outputs;
    long follows; /* NOTHING, a (leaky) ReLU as ACTIVATION; TANH after the last layer only */
    long rounds;  /* whether factors are rounded to bfloat16; by AVX512_BF16 alone */
    double slope; /* of a ReLU below zero */
    const float *weight, *bias;
    long weight_stride, bias_stride; /* from a member to the next */
    float *of_weight, *of_bias;      /* gradients by them; NULL: not wanted */
    long of_weight_stride, of_bias_stride;
    float *made; /* [members, batch, outputs] */
} Layer;

typedef struct {
    long members, batch, depth;
    const float *x; /* [members, batch, inputs of the first layer] */
    const Layer *layers;
} Network;

int version(void) { return VERSION; }

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)

#include <cpuid.h>
#include <immintrin.h>

/* Where the sums of a product go. */
typedef struct {
    float *to;
    long stride;
    const float *bias; /* whole vectors of it; may be NULL */
    const float *made; /* of an activation, laid out as what goes out: for its derivative */
    int follows;
    float slope;
    const char *ahead, *ahead_end; /* memory that is read next, to be fetched meanwhile */
} Target;

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define TILE_ROWS 6
#define WIDEST_PANEL 64

/* Has a product fetch what is read after it. */
static void fetch(Target *t, const float *next, long numbers)
{
    t->ahead = (const char *)next;
    t->ahead_end = (const char *)(next + numbers);
}

static void fetch_weight(Target *t, const Layer *layer, long member)
{
    fetch(t, layer->weight + member * layer->weight_stride, layer->inputs * layer->outputs);
}

/* Whether a layer is one dot product of each row. Not the first, whose inputs may be padded: zeros
   at its end would change the order of summation. */
static int is_dot(const Network *n, long layer)
{
    const Layer *own = n->layers + layer;
    return layer && own->outputs == 1 && own->follows == NOTHING;
}

INLINE const char *fetched(const char *from, const char *to, long bytes)
{
    const char *end = from + bytes < to ? from + bytes : to;
    for (; from < end; from += 64)
        __builtin_prefetch(from, 0, 2);
    return from;
}

static long widest_input(const Network *n)
{
    long most = 0;
    for (long i = 0; i < n->depth; i++)
        most = n->layers[i].inputs > most ? n->layers[i].inputs : most;
    return most;
}

/* Room for the packed factors of a layer's products, and for the slopes of two layers. */
static float *scratch_of(const Network *n)
{
    long most = 0, batch = n->batch + WIDEST_PANEL;
    for (long i = 0; i < n->depth; i++) {
        long in = n->layers[i].inputs + WIDEST_PANEL, out = n->layers[i].outputs + WIDEST_PANEL;
        long need = in * out + batch * (in + out);
        most = need > most ? need : most;
    }
    most += 2 * n->batch * widest_input(n);
    return aligned_alloc(64, sizeof(float) * ((most + 15) / 16 * 16));
}

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,fma,prefer-vector-width=512")
#define NAME(x) x##_avx512
#define VL 16
#define TILE_VECTORS 4
#include "mlp_body.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,fma,prefer-vector-width=512")
#define NAME(x) x##_avx512_bf16
#define VL 16
#define TILE_VECTORS 4
#define ROUNDS
#include "mlp_body.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define NAME(x) x##_avx2
#define VL 8
#define TILE_VECTORS 2
#include "mlp_body.h"
#pragma GCC pop_options

/* Whether it has matrix units for bfloat16, which oneDNN uses and these kernels do not. */
static int has_matrix_units(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1);
}

/* The best instruction set of this processor. */
int instructions(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return __builtin_cpu_supports("avx512bf16") && !has_matrix_units() ? AVX512_BF16 : AVX512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? AVX2 : NO_VECTORS;
}

/* Fills every layer's `made`; -1: no memory. */
int forward(int set, const Network *n)
{
    float *scratch = scratch_of(n);
    if (!scratch)
        return -1;
    for (long member = 0; member < n->members; member++)
        (set == AVX2 ? forward_avx2 : set == AVX512 ? forward_avx512 : forward_avx512_bf16)(
            n, member, scratch);
    free(scratch);
    return 0;
}

/* Fills the gradients that are wanted, from what `forward` made; -1: no memory. */
int backward(int set, const Network *n, const float *slope, float *of_x)
{
    float *scratch = scratch_of(n);
    if (!scratch)
        return -1;
    for (long member = 0; member < n->members; member++)
        (set == AVX2 ? backward_avx2 : set == AVX512 ? backward_avx512 : backward_avx512_bf16)(
            n, member, slope, of_x, scratch);
    free(scratch);
    return 0;
}

#else

int instructions(void) { return NO_VECTORS; }
int forward(int set, const Network *n) { return set && n ? -1 : 0; }
int backward(int set, const Network *n, const float *slope, float *of_x)
{
    return set && n && slope && of_x ? -1 : 0;
}

#endif
