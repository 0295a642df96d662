/* Adam for all members, each with its own rates, and what has to be known before: whether a
   gradient is finite. One pass over a member's gradient for its norm, then one over everything
   while the gradient is still in the cache. */

#include <math.h>
#include <stdint.h>

#include "clones.h"

#define LANES 64 /* partial sums: zeros at a row's end, which another kind needs, change nothing */

VECTORISED static float norm_of(const float *gradient, long width)
{
    float sums[LANES] = {0}, total = 0;
    long i = 0;
    for (; i + LANES <= width; i += LANES)
        for (int j = 0; j < LANES; j++)
            sums[j] += gradient[i + j] * gradient[i + j];
    for (; i < width; i++)
        sums[i % LANES] += gradient[i] * gradient[i];
    for (int j = 0; j < LANES; j++)
        total += sums[j];
    return sqrtf(total);
}

/* As torch's fused kernel has it (aten/src/ATen/native/cpu/FusedAdamKernel.cpp). */
VECTORISED static void update(long width, float *restrict parameter, const float *restrict gradient,
                              float *restrict moment1, float *restrict moment2, float new1,
                              float keep2, float new2, float rate, float root, float epsilon)
{
    for (long i = 0; i < width; i++) {
        float slope = gradient[i];
        moment1[i] += (slope - moment1[i]) * new1;
        moment2[i] = moment2[i] * keep2 + slope * slope * new2;
        parameter[i] -= rate * moment1[i] / (sqrtf(moment2[i]) / root + epsilon);
    }
}

/* One update of every member that is alive and whose gradient is finite; the others are dead.

   Everything [members, width], rows dense; rates, decays, counts, alive and norms [members]. */
void descend(long members, long width, float *parameter, const float *gradient, float *moment1,
             float *moment2, const double *rate, const double *beta1, const double *beta2,
             const int64_t *count, float epsilon, unsigned char *alive, float *norm)
{
    for (long m = 0; m < members; m++, parameter += width, gradient += width, moment1 += width,
              moment2 += width) {
        norm[m] = norm_of(gradient, width);
        alive[m] = alive[m] && isfinite(norm[m]);
        if (!alive[m])
            continue;
        double correction1 = 1 - pow(beta1[m], count[m]), correction2 = 1 - pow(beta2[m], count[m]);
        update(width, parameter, gradient, moment1, moment2, 1 - beta1[m], beta2[m], 1 - beta2[m],
               rate[m] / correction1, sqrt(correction2), epsilon);
    }
}
