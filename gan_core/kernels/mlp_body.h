/* Fully connected layers in one instruction set: vectors of VL floats, and products whose
   TILE_ROWS x TILE_VECTORS sums stand in registers from the first summand to the last. NAME(x)
   gives each set its own names. Matrices are row by row; a layer's weight is [outputs, inputs].

   Where ROUNDS is defined, products may have factors of bfloat16, two of them for each sum at a
   time: a "pair" is 32 bits of neighbours along the depth, and stands where a float would. */

typedef float NAME(vector) __attribute__((vector_size(4 * VL), aligned(4), may_alias));
typedef int NAME(mask) __attribute__((vector_size(4 * VL)));
typedef int NAME(bits) __attribute__((may_alias));
#define VECTOR NAME(vector)
#define PANEL (VL * TILE_VECTORS)

INLINE VECTOR NAME(partly)(const float *from, int count)
{
    VECTOR v = {0};
    memcpy(&v, from, sizeof(float) * count);
    return v;
}

/* x P(x^2) / Q(x^2), Eigen's coefficients for floats (Eigen/src/Core/MathFunctionsImpl.h): within 5
   units in the last place, NaN for NaN; beyond the bounds it is 1 to rounding. */
INLINE VECTOR NAME(tanh)(VECTOR x)
{
    const float most = 7.99881172180175781f;
    NAME(mask) above = x > most, below = x < -most;
    VECTOR bound = (VECTOR){0} + most;
    x = (VECTOR)((above & (NAME(mask))bound) | (below & (NAME(mask))-bound) |
                 (~(above | below) & (NAME(mask))x));
    VECTOR s = x * x;
    VECTOR p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
    p = p * s + -8.60467152213735e-11f;
    p = p * s + 5.12229709037114e-08f;
    p = p * s + 1.48572235717979e-05f;
    p = p * s + 6.37261928875436e-04f;
    p = p * s + 4.89352455891786e-03f;
    VECTOR q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
    q = q * s + 2.26843463243900e-03f;
    q = q * s + 4.89352518554385e-03f;
    NAME(mask) tiny = s < 1.6e-7f; /* tanh(x) = x to rounding, and x p may be subnormal */
    VECTOR y = x * p / q;
    return (VECTOR)((tiny & (NAME(mask))x) | (~tiny & (NAME(mask))y));
}

/* What becomes of sums before they are stored; inf and NaN as in torch, whose ReLU, unlike its
   leaky one, passes what comes back where it made NaN. */
INLINE VECTOR NAME(followed)(VECTOR v, const Target *t, long place, int count)
{
    if (t->follows == NOTHING)
        return v;
    if (t->follows == TANH)
        return NAME(tanh)(v);
    VECTOR less = {0}, judged = v;
    if (t->slope != 0)
        less = v * t->slope;
    if (t->follows == DERIVATIVE)
        judged = count == VL ? *(const VECTOR *)(t->made + place)
                             : NAME(partly)(t->made + place, count);
    NAME(mask) whole = ~(judged <= 0);
    if (t->follows == DERIVATIVE && t->slope != 0)
        whole = judged > 0;
    return (VECTOR)((whole & (NAME(mask))v) | (~whole & (NAME(mask))less));
}

/* A row's sums, V vectors of them, and one more factor of that row times V vectors of factors. */
#ifdef ROUNDS
#define DOT(j) "vdpbf16ps %[b" #j "], %[a], %[s" #j "]\n"
#define SUM(j) [s##j] "+v"(sum[j])
#define BY(j) [b##j] "v"(factor[j])
#define DOTS(dots, factors, ...) \
    __asm__("vpbroadcastd %[p], %[a]\n" dots : [a] "=&v"(a), __VA_ARGS__ : [p] "m"(*bits), factors)
#define AND ,
INLINE void NAME(add_pair)(const int V, VECTOR *sum, const float *pair, const VECTOR *factor)
{
    /* In one piece: of intrinsics GCC 12 keeps some sums in memory. */
    const NAME(bits) *bits = (const NAME(bits) *)pair;
    VECTOR a;
    if (V == 4)
        DOTS(DOT(0) DOT(1) DOT(2) DOT(3), BY(0) AND BY(1) AND BY(2) AND BY(3), SUM(0), SUM(1),
             SUM(2), SUM(3));
    else if (V == 3)
        DOTS(DOT(0) DOT(1) DOT(2), BY(0) AND BY(1) AND BY(2), SUM(0), SUM(1), SUM(2));
    else if (V == 2)
        DOTS(DOT(0) DOT(1), BY(0) AND BY(1), SUM(0), SUM(1));
    else
        DOTS(DOT(0), BY(0), SUM(0));
}
#undef DOT
#undef SUM
#undef BY
#undef DOTS
#undef AND
#else
INLINE void NAME(add_pair)(const int V, VECTOR *sum, const float *pair, const VECTOR *factor)
{
    (void)V, (void)sum, (void)pair, (void)factor; /* nothing rounds here */
}
#endif

/* R rows x V vectors of a product, with factors of bfloat16 if H. */
INLINE void NAME(tile)(const int R, const int V, const int H, long depth, const float *a,
                       long a_row, long a_depth, const float *b, long b_depth, int width,
                       const Target *t, long row, long col)
{
    VECTOR sum[TILE_ROWS][TILE_VECTORS];
    UNROLL for (int j = 0; j < V; j++) {
        VECTOR first = {0};
        if (t->bias)
            first = *(const VECTOR *)(t->bias + col + j * VL);
        UNROLL for (int i = 0; i < R; i++) sum[i][j] = first;
    }
    for (long k = 0; k < depth; k++) {
        VECTOR factor[TILE_VECTORS];
        UNROLL for (int j = 0; j < V; j++) factor[j] = *(const VECTOR *)(b + k * b_depth + j * VL);
        UNROLL for (int i = 0; i < R; i++) {
            const float *one = a + i * a_row + k * a_depth;
            if (H) {
                NAME(add_pair)(V, sum[i], one, factor);
                continue;
            }
            float value = *one;
            UNROLL for (int j = 0; j < V; j++) sum[i][j] += value * factor[j];
        }
    }
    UNROLL for (int i = 0; i < R; i++) UNROLL for (int j = 0; j < V; j++) {
        int count = width - j * VL < VL ? width - j * VL : VL;
        long place = (row + i) * t->stride + col + j * VL;
        VECTOR v = NAME(followed)(sum[i][j], t, place, count);
        if (count == VL)
            *(VECTOR *)(t->to + place) = v;
        else
            memcpy(t->to + place, &v, sizeof(float) * count);
    }
}

#define TILE(R, V, H) \
    NAME(tile)(R, V, H, depth, own, a_row, a_depth, panel, b_depth, width, t, row, col)
#define ROWS(V, H) \
    switch (end - row) { \
    case 6: TILE(6, V, H); break; \
    case 5: TILE(5, V, H); break; \
    case 4: TILE(4, V, H); break; \
    case 3: TILE(3, V, H); break; \
    case 2: TILE(2, V, H); break; \
    default: TILE(1, V, H); break; \
    }

/* a [rows, depth], by its strides, times b [depth, cols]: packed (a panel of columns after the
   other, whole vectors wide), or as it stands if whole vectors make up its rows. */
INLINE void NAME(product_of)(const int H, long rows, long cols, long depth, const float *a,
                             long a_row, long a_depth, const float *b, int packed,
                             const Target *t)
{
    long tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const char *ahead = t->ahead;
    long step = (t->ahead_end - t->ahead) / (tiles * ((cols + PANEL - 1) / PANEL)) + 64;
    for (long col = 0; col < cols; col += PANEL) {
        int width = cols - col < PANEL ? cols - col : PANEL, vectors = (width + VL - 1) / VL;
        const float *panel = packed ? b + col * depth : b + col;
        long b_depth = packed ? vectors * VL : cols, row = 0;
        for (long i = 0; i < tiles; i++) {
            long end = rows * (i + 1) / tiles; /* of nearly equal height */
            ahead = fetched(ahead, t->ahead_end, step);
            const float *own = a + row * a_row;
            switch (vectors) {
#if TILE_VECTORS == 4
            case 4: ROWS(4, H) break;
            case 3: ROWS(3, H) break;
#endif
            case 2: ROWS(2, H) break;
            default: ROWS(1, H) break;
            }
            row = end;
        }
    }
}

static void NAME(product)(long rows, long cols, long depth, const float *a, long a_row,
                          long a_depth, const float *b, int packed, const Target *t)
{
    NAME(product_of)(0, rows, cols, depth, a, a_row, a_depth, b, packed, t);
}

/* A layer of one output: sums of [rows, depth] with one row of weights. */
static void NAME(dots)(long rows, long depth, const float *x, const float *weight, float bias,
                       float *to)
{
    for (long row = 0; row < rows; row++, x += depth) {
        VECTOR sums = {0};
        long k = 0;
        for (; k + VL <= depth; k += VL)
            sums += *(const VECTOR *)(x + k) * *(const VECTOR *)(weight + k);
        float total = bias;
        for (int i = 0; i < VL; i++)
            total += sums[i];
        for (; k < depth; k++)
            total += x[k] * weight[k];
        to[row] = total;
    }
}

/* VL x VL numbers, the other way round, by as many perfect shuffles of rows as VL has bits. */
INLINE void NAME(turn)(const float *from, long from_stride, float *to, long to_stride)
{
    VECTOR v[VL], w[VL];
    NAME(mask) low, high;
    for (int i = 0; i < VL; i++) {
        low[i] = i / 2 + (i % 2) * VL;
        high[i] = VL / 2 + low[i];
    }
    UNROLL for (int i = 0; i < VL; i++) v[i] = *(const VECTOR *)(from + i * from_stride);
    for (int round = 1; round < VL; round *= 2) {
        UNROLL for (int i = 0; i < VL / 2; i++) {
            w[2 * i] = __builtin_shuffle(v[i], v[i + VL / 2], low);
            w[2 * i + 1] = __builtin_shuffle(v[i], v[i + VL / 2], high);
        }
        UNROLL for (int i = 0; i < VL; i++) v[i] = w[i];
    }
    UNROLL for (int i = 0; i < VL; i++) *(VECTOR *)(to + i * to_stride) = v[i];
}

/* Panels of a transposed matrix: its rows become columns, and zeros stand beyond the last. */
static void NAME(pack_turned)(const float *from, long rows, long cols, float *to)
{
    for (long first = 0; first < rows; first += PANEL) {
        long width = rows - first < PANEL ? rows - first : PANEL;
        long stride = (width + VL - 1) / VL * VL;
        float *panel = to + first * cols;
        for (long j = 0; j < stride; j += VL) {
            const float *own = from + (first + j) * cols;
            long k = 0, here = width - j < VL ? width - j : VL;
            for (; here == VL && k + VL <= cols; k += VL)
                NAME(turn)(own + k, cols, panel + k * stride + j, stride);
            for (; k < cols; k++)
                for (long i = 0; i < VL; i++)
                    panel[k * stride + j + i] = i < here ? own[i * cols + k] : 0;
        }
    }
}

/* Panels of a matrix, with zeros beyond its last column. */
static void NAME(pack)(const float *from, long rows, long cols, float *to)
{
    for (long col = 0; col < cols; col += PANEL) {
        long width = cols - col < PANEL ? cols - col : PANEL;
        long stride = (width + VL - 1) / VL * VL;
        float *panel = to + col * rows;
        for (long row = 0; row < rows; row++) {
            memcpy(panel + row * stride, from + row * cols + col, sizeof(float) * width);
            memset(panel + row * stride + width, 0, sizeof(float) * (stride - width));
        }
    }
}

#ifdef ROUNDS
#include "mlp_pairs.h"
#endif

/* What a layer makes, before and after what follows it. */
static void NAME(outputs)(const Network *n, const Layer *layer, const float *x,
                          const float *weight, float *scratch, const Target *t)
{
#ifdef ROUNDS
    if (layer->rounds) {
        NAME(outputs_rounded)(n, layer, x, weight, scratch, t);
        return;
    }
#endif
    NAME(pack_turned)(weight, layer->outputs, layer->inputs, scratch);
    NAME(product)(n->batch, layer->outputs, layer->inputs, x, layer->inputs, 1, scratch, 1, t);
}

static void NAME(weight_gradient)(const Network *n, const Layer *layer, const float *x,
                                  const float *slope, float *scratch, const Target *t)
{
    long in = layer->inputs, out = layer->outputs;
    int is_ragged = in % VL != 0;
#ifdef ROUNDS
    if (layer->rounds) {
        NAME(weight_gradient_rounded)(n, layer, x, slope, scratch, t);
        return;
    }
#endif
    if (is_ragged)
        NAME(pack)(x, n->batch, in, scratch);
    NAME(product)(out, in, n->batch, slope, 1, out, is_ragged ? scratch : x, is_ragged, t);
}

/* The gradient by what came into a layer. */
static void NAME(input_gradient)(const Network *n, const Layer *layer, const float *weight,
                                 const float *slope, float *scratch, const Target *t)
{
    long in = layer->inputs, out = layer->outputs;
    int is_ragged = in % VL != 0;
#ifdef ROUNDS
    if (layer->rounds) {
        NAME(input_gradient_rounded)(n, layer, weight, slope, scratch, t);
        return;
    }
#endif
    if (is_ragged)
        NAME(pack)(weight, out, in, scratch);
    NAME(product)(n->batch, in, out, slope, out, 1, is_ragged ? scratch : weight, is_ragged, t);
}

static void NAME(forward)(const Network *n, long member, float *scratch)
{
    const float *x = n->x + member * n->batch * n->layers[0].inputs;
    for (long i = 0; i < n->depth; i++) {
        const Layer *layer = n->layers + i;
        long in = layer->inputs, out = layer->outputs, padded = (out + VL - 1) / VL * VL;
        const float *weight = layer->weight + member * layer->weight_stride;
        float *to = layer->made + member * n->batch * out;
        float *bias = scratch;
        memset(bias + padded - VL, 0, sizeof(float) * VL);
        memcpy(bias, layer->bias + member * layer->bias_stride, sizeof(float) * out);
        if (is_dot(n, i)) {
            NAME(dots)(n->batch, in, x, weight, *bias, to);
        } else {
            Target target = {to, out, bias, NULL, layer->follows, layer->slope, NULL, NULL};
            int is_last = i + 1 == n->depth || is_dot(n, i + 1);
            if (!is_last)
                fetch_weight(&target, layer + 1, member);
            else if (member + 1 < n->members)
                fetch_weight(&target, n->layers, member + 1);
            NAME(outputs)(n, layer, x, weight, scratch + padded, &target);
        }
        x = to;
    }
}

/* slope: of the last layer's output, before any activation; of_x may be NULL. */
static void NAME(backward)(const Network *n, long member, const float *slope, float *of_x,
                           float *scratch)
{
    long widest = widest_input(n), batch = n->batch;
    float *packed = scratch + 2 * batch * widest;
    slope += member * batch * n->layers[n->depth - 1].outputs;
    for (long i = n->depth - 1; i >= 0; i--) {
        const Layer *layer = n->layers + i, *before = i ? layer - 1 : NULL;
        long in = layer->inputs, out = layer->outputs;
        const float *x = (before ? before->made : n->x) + member * batch * in;
        if (layer->of_weight) {
            Target target = {layer->of_weight + member * layer->of_weight_stride, in, NULL, NULL,
                             NOTHING, 0, NULL, NULL};
            if (before || of_x)
                fetch_weight(&target, layer, member);
            NAME(weight_gradient)(n, layer, x, slope, packed, &target);
        }
        if (layer->of_bias) {
            float *sum = layer->of_bias + member * layer->of_bias_stride;
            memcpy(sum, slope, sizeof(float) * out);
            for (long row = 1; row < batch; row++)
                for (long j = 0; j < out; j++)
                    sum[j] += slope[row * out + j];
        }
        if (before || of_x) {
            const float *weight = layer->weight + member * layer->weight_stride;
            Target target = {before ? scratch + i % 2 * batch * widest : of_x + member * batch * in,
                             in, NULL, x, before && before->follows ? DERIVATIVE : NOTHING,
                             before ? before->slope : 0, NULL, NULL};
            if (before)
                fetch(&target, (i > 1 ? layer[-2].made : n->x) + member * batch * before->inputs,
                      batch * before->inputs);
            NAME(input_gradient)(n, layer, weight, slope, packed, &target);
            slope = target.to;
        }
    }
}

#undef ROWS
#undef TILE
#undef VECTOR
#undef PANEL
#undef NAME
#undef VL
#undef TILE_VECTORS
#undef ROUNDS
