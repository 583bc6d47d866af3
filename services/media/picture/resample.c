#include "resample.h"

// Rows first, since a row of sums stays in the nearest cache; then columns. Both round to 8 bits.

static uint8_t clip(int v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

static void down(const uint8_t *src, int stride, uint8_t *out, int from, int to, const int8_t *w, int pairs) {
	for (int x = from; x < to; x++) {
		int sum = 32;
		for (int i = 0; i < 2 * pairs; i++)
			sum += w[i] * src[i * stride + x];
		out[x] = clip(sum >> 6);
	}
}

static void across(const uint8_t *in, uint8_t *dst, int from, int to, const int32_t *xs, const int8_t *xw) {
	for (int x = from; x < to; x++) {
		int sum = 32;
		for (int i = 0; i < RESAMPLE_TAPS; i++)
			sum += xw[x * RESAMPLE_TAPS + i] * in[xs[x] + i];
		dst[x] = clip(sum >> 6);
	}
}

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

int resample_vectors(void) { return __builtin_cpu_supports("avx2"); }

// 32 columns of a row: pairs of rows are interleaved, so that one instruction multiplies both and adds. The sums fit 16 bits:
// positive weights come to less than 1.5, and 255 * 1.5 * 64 is 24480.
__attribute__((target("avx2"))) static inline void down32(const uint8_t *src, int stride, uint8_t *out, const int8_t *w, int pairs) {
	__m256i low = _mm256_set1_epi16(32), high = low;
	for (int i = 0; i < pairs; i++) {
		int16_t both;
		memcpy(&both, w + 2 * i, 2);
		__m256i weights = _mm256_set1_epi16(both);
		__m256i a = _mm256_loadu_si256((const __m256i *)(src + 2 * i * stride));
		__m256i b = _mm256_loadu_si256((const __m256i *)(src + (2 * i + 1) * stride));
		low = _mm256_add_epi16(low, _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), weights));
		high = _mm256_add_epi16(high, _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), weights));
	}
	_mm256_storeu_si256((__m256i *)out, _mm256_packus_epi16(_mm256_srai_epi16(low, 6), _mm256_srai_epi16(high, 6)));
}

// Four pixels across, as four partial sums each.
__attribute__((target("avx2"))) static inline __m256i four(const uint8_t *in, const int32_t *xs, const int8_t *xw) {
	int64_t v[4];
	for (int i = 0; i < 4; i++)
		memcpy(&v[i], in + xs[i], 8);
	return _mm256_maddubs_epi16(_mm256_set_epi64x(v[3], v[2], v[1], v[0]), _mm256_loadu_si256((const __m256i *)xw));
}

__attribute__((target("avx2"))) static inline void across16(const uint8_t *in, uint8_t *dst, const int32_t *xs, const int8_t *xw) {
	__m256i a = _mm256_hadd_epi16(four(in, xs, xw), four(in, xs + 4, xw + 32));
	__m256i b = _mm256_hadd_epi16(four(in, xs + 8, xw + 64), four(in, xs + 12, xw + 96));
	__m256i sum = _mm256_srai_epi16(_mm256_add_epi16(_mm256_hadd_epi16(a, b), _mm256_set1_epi16(32)), 6);
	__m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
	// The additions leave the pixels as 0 1 4 5 8 9 12 13 2 3 6 7 10 11 14 15.
	const __m128i order = _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
	_mm_storeu_si128((__m128i *)dst, _mm_shuffle_epi8(bytes, order));
}

// The last block overlaps the one before rather than reaching over the edge.
__attribute__((target("avx2"))) static void row(const uint8_t *src, int stride, int width, uint8_t *sums, uint8_t *dst, int dst_width,
		const int32_t *xs, const int8_t *xw, const int8_t *yw, int pairs) {
	if (width < 32)
		down(src, stride, sums, 0, width, yw, pairs);
	else
		for (int x = 0; x < width; x += 32) {
			if (x > width - 32)
				x = width - 32;
			down32(src + x, stride, sums + x, yw, pairs);
		}
	if (dst_width < 16)
		across(sums, dst, 0, dst_width, xs, xw);
	else
		for (int x = 0; x < dst_width; x += 16) {
			if (x > dst_width - 16)
				x = dst_width - 16;
			across16(sums, dst + x, xs + x, xw + x * RESAMPLE_TAPS);
		}
}
#else
int resample_vectors(void) { return 0; }

static void row(const uint8_t *src, int stride, int width, uint8_t *sums, uint8_t *dst, int dst_width, const int32_t *xs,
		const int8_t *xw, const int8_t *yw, int pairs) {
	down(src, stride, sums, 0, width, yw, pairs);
	across(sums, dst, 0, dst_width, xs, xw);
}
#endif

void resample(const uint8_t *src, int stride, int width, uint8_t *dst, int dst_stride, int dst_width, int dst_height,
		const int32_t *xs, const int8_t *xw, const int32_t *ys, const int8_t *yw, int pairs, int vectors) {
	uint8_t sums[RESAMPLE_WIDEST];
	for (int y = 0; y < dst_height; y++, dst += dst_stride, yw += RESAMPLE_TAPS) {
		const uint8_t *from = src + (intptr_t)ys[y] * stride;
		if (vectors) {
			row(from, stride, width, sums, dst, dst_width, xs, xw, yw, pairs);
		} else {
			down(from, stride, sums, 0, width, yw, pairs);
			across(sums, dst, 0, dst_width, xs, xw);
		}
	}
}
