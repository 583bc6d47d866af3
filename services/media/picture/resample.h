#include <stdint.h>

// RESAMPLE_TAPS is the width of a row of weights; unused ones are zero. Weights are in 1/64.
enum { RESAMPLE_TAPS = 8, RESAMPLE_WIDEST = 4096 };

// resample draws a plane at another size. For each pixel across, xs is the first of eight source columns, all of which are
// inside, and xw their weights; for each row down, ys and yw likewise, of which the first 2 * pairs are used. Width, of the
// source, is at least 8 and at most RESAMPLE_WIDEST.
void resample(const uint8_t *src, int stride, int width, uint8_t *dst, int dst_stride, int dst_width, int dst_height,
	const int32_t *xs, const int8_t *xw, const int32_t *ys, const int8_t *yw, int pairs, int vectors);

// resample_vectors says whether the processor has the instructions for vectors != 0.
int resample_vectors(void);
