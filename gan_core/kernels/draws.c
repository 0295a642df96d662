/* Of standard normals what is no logarithm, root or sine, which are torch's: gan_core/noise.py. */

#include <math.h>
#include <stdint.h>

#include "clones.h"

/* SplitMix64's output number `counter` of the generator started at `key`. */
static inline uint64_t splitmix64(uint64_t key, uint64_t counter)
{
    uint64_t x = key + (counter + 1) * 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

VECTORISED static void pairs_of_row(uint64_t key, uint64_t first, long pairs, float *uniform,
                                    float *angle)
{
    for (long i = 0; i < pairs; i++) {
        uint64_t bits = splitmix64(key, first + i);
        uniform[i] = (float)(int64_t)((bits >> 32) + 1) * 0x1p-32f;
        angle[i] = (float)(int64_t)(bits & 0xFFFFFFFFu) * (float)(0x1p-32 * 2 * M_PI);
    }
}

/* For Box and Muller's method: uniform in (0, 1], and an angle in [0, 2 pi), for each pair.
   A member has `stride` numbers of each, of which the first rows x pairs are written. */
void box_muller_uniforms(long members, const uint64_t *key, long rows, long pairs, long row_stride,
                         long stride, float *uniform, float *angle)
{
    for (long m = 0; m < members; m++)
        for (long row = 0; row < rows; row++) {
            long place = m * stride + row * pairs;
            pairs_of_row(key[m], (uint64_t)row * row_stride, pairs, uniform + place, angle + place);
        }
}

VECTORISED static void interleave(long pairs, const float *radius, const float *cosine,
                                  const float *sine, float *to)
{
    for (long i = 0; i < pairs; i++) {
        to[2 * i] = cosine[i] * radius[i];
        to[2 * i + 1] = sine[i] * radius[i];
    }
}

/* Pairs of normals from what has become of those numbers. to: [members, rows, 2 pairs]. */
void box_muller_normals(long members, long rows, long pairs, long stride, const float *radius,
                        const float *cosine, const float *sine, float *to)
{
    for (long m = 0; m < members; m++) {
        long place = m * stride;
        interleave(rows * pairs, radius + place, cosine + place, sine + place, to);
        to += 2 * rows * pairs;
    }
}
