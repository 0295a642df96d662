/* Products with factors of bfloat16 and sums of float32: what the factors are packed into, and the
   three products of a layer. A part of mlp_body.h. */

/* a and b of pairs; the depth is in pairs, and b is packed. */
static void NAME(product_of_pairs)(long rows, long cols, long depth, const float *a, long a_row,
                                   long a_depth, const float *b, const Target *t)
{
    NAME(product_of)(1, rows, cols, depth, a, a_row, a_depth, b, 1, t);
}

INLINE __m512i NAME(halves)(const float *from, long count)
{
    VECTOR v = count >= VL ? *(const VECTOR *)from : NAME(partly)(from, count < 0 ? 0 : count);
    return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v));
}

/* Pairs of neighbours in rows: [rows, cols / 2, rounded up]. */
static void NAME(pair_columns)(const float *from, long rows, long cols, float *to)
{
    long pairs = (cols + 1) / 2;
    for (long row = 0; row < rows; row++, from += cols, to += pairs) {
        long k = 0;
        for (; k + VL <= cols; k += VL)
            _mm256_storeu_si256((__m256i *)(to + k / 2),
                                (__m256i)_mm512_cvtneps_pbh((__m512)*(const VECTOR *)(from + k)));
        if (k < cols) {
            VECTOR rest = NAME(partly)(from + k, cols - k);
            __m256bh made = _mm512_cvtneps_pbh((__m512)rest);
            memcpy(to + k / 2, &made, sizeof(float) * (pairs - k / 2));
        }
    }
}

/* Pairs of one row and the next, in panels: [rows / 2, rounded up, columns of a panel]. */
static void NAME(pair_rows)(const float *from, long rows, long cols, long panel, float *to)
{
    long pairs = (rows + 1) / 2;
    for (long col = 0; col < cols; col += panel) {
        long width = cols - col < panel ? cols - col : panel, stride = (width + VL - 1) / VL * VL;
        float *own = to + col * pairs;
        for (long row = 0; row < rows; row += 2, own += stride)
            for (long j = 0; j < stride; j += VL) {
                const float *upper = from + row * cols + col + j;
                __m512i low = NAME(halves)(upper, width - j), high = _mm512_setzero_si512();
                if (row + 1 < rows)
                    high = NAME(halves)(upper + cols, width - j);
                *(VECTOR *)(own + j) = (VECTOR)_mm512_or_si512(low, _mm512_slli_epi32(high, 16));
            }
    }
}

static void NAME(outputs_rounded)(const Network *n, const Layer *layer, const float *x,
                                  const float *weight, float *scratch, const Target *t)
{
    long in = layer->inputs, out = layer->outputs, pairs = (in + 1) / 2;
    float *factors = scratch, *turned = factors + n->batch * pairs;
    float *rows = turned + pairs * ((out + VL - 1) / VL * VL);
    NAME(pair_columns)(x, n->batch, in, factors);
    NAME(pair_columns)(weight, out, in, rows);
    NAME(pack_turned)(rows, out, pairs, turned);
    NAME(product_of_pairs)(n->batch, out, pairs, factors, pairs, 1, turned, t);
}

/* The gradient by the weight. */
static void NAME(weight_gradient_rounded)(const Network *n, const Layer *layer, const float *x,
                                          const float *slope, float *scratch, const Target *t)
{
    long in = layer->inputs, out = layer->outputs, pairs = (n->batch + 1) / 2;
    long padded = (out + VL - 1) / VL * VL;
    float *slopes = scratch, *factors = slopes + pairs * padded;
    NAME(pair_rows)(slope, n->batch, out, padded, slopes);
    NAME(pair_rows)(x, n->batch, in, PANEL, factors);
    NAME(product_of_pairs)(out, in, pairs, slopes, 1, padded, factors, t);
}

/* The gradient by what came in. */
static void NAME(input_gradient_rounded)(const Network *n, const Layer *layer,
                                         const float *weight, const float *slope, float *scratch,
                                         const Target *t)
{
    long in = layer->inputs, out = layer->outputs, pairs = (out + 1) / 2;
    float *slopes = scratch, *factors = slopes + n->batch * pairs;
    NAME(pair_columns)(slope, n->batch, out, slopes);
    NAME(pair_rows)(weight, out, in, PANEL, factors);
    NAME(product_of_pairs)(n->batch, in, pairs, slopes, pairs, 1, factors, t);
}
