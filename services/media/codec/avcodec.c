#include "avcodec.h"

#include <string.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <libavutil/opt.h>

// Messages of the library would let anybody who sends packets write into the log.
__attribute__((constructor)) static void quiet(void) { av_log_set_level(AV_LOG_QUIET); }

static int served(int format) { return format == AV_PIX_FMT_YUV420P || format == AV_PIX_FMT_YUVJ420P; }

// choose is asked for the pixel format before any picture is allocated.
static enum AVPixelFormat choose(AVCodecContext *c, const enum AVPixelFormat *offered) {
	for (; *offered != AV_PIX_FMT_NONE; offered++)
		if (served(*offered))
			return *offered;
	((struct video_decoder *)c->opaque)->refused = 1;
	return AV_PIX_FMT_NONE;
}

void video_decoder_close(struct video_decoder *d) {
	avcodec_free_context(&d->context);
	av_packet_free(&d->packet);
	av_frame_free(&d->next);
	av_free(d);
}

struct video_decoder *video_decoder_open(enum AVCodecID id, int64_t max_pixels) {
	struct video_decoder *d = av_mallocz(sizeof *d);
	if (!d)
		return NULL;
	d->context = avcodec_alloc_context3(NULL);
	d->packet = av_packet_alloc();
	d->next = av_frame_alloc();
	if (!d->context || !d->packet || !d->next)
		goto fail;
	d->context->opaque = d;
	d->context->get_format = choose;
	d->context->max_pixels = max_pixels;
	// One thread: frame threads add a frame of delay each, and the cores have other streams to serve.
	d->context->thread_count = 1;
	d->context->flags |= AV_CODEC_FLAG_LOW_DELAY;
	if (avcodec_open2(d->context, avcodec_find_decoder(id), NULL) < 0)
		goto fail;
	return d;
fail:
	video_decoder_close(d);
	return NULL;
}

// broken forgets all pictures: without references, the decoder is silent until the next key frame.
static int broken(struct video_decoder *d, AVFrame *out) {
	av_frame_unref(d->next);
	av_frame_unref(out);
	avcodec_flush_buffers(d->context);
	return d->refused ? DECODE_REFUSED : DECODE_BROKEN;
}

int video_decode(struct video_decoder *d, const uint8_t *data, int size, int64_t timestamp, AVFrame *out) {
	int result = DECODE_NONE, error;
	d->refused = 0;
	// Without a buffer of its own the packet is copied, with the padding that the bit readers need.
	d->packet->data = (uint8_t *)data;
	d->packet->size = size;
	d->packet->pts = timestamp;
	error = avcodec_send_packet(d->context, d->packet);
	d->packet->data = NULL;
	d->packet->size = 0;
	if (error < 0)
		return broken(d, out);
	// Some access units finish two pictures; only the newest is worth showing.
	while ((error = avcodec_receive_frame(d->context, d->next)) == 0) {
		if (!served(d->next->format))
			d->refused = 1;
		if (d->refused || d->next->decode_error_flags || d->next->flags & AV_FRAME_FLAG_CORRUPT)
			return broken(d, out);
		av_frame_unref(out);
		av_frame_move_ref(out, d->next);
		result = DECODE_FRAME;
	}
	return error == AVERROR(EAGAIN) ? result : broken(d, out);
}

void audio_codec_close(struct audio_codec *a) {
	avcodec_free_context(&a->context);
	av_packet_free(&a->packet);
	av_frame_free(&a->frame);
	av_free(a);
}

static struct audio_codec *audio_codec_new(int rate, int channels) {
	struct audio_codec *a = av_mallocz(sizeof *a);
	if (!a)
		return NULL;
	a->context = avcodec_alloc_context3(NULL);
	a->packet = av_packet_alloc();
	a->frame = av_frame_alloc();
	if (!a->context || !a->packet || !a->frame) {
		audio_codec_close(a);
		return NULL;
	}
	a->context->sample_rate = rate;
	a->context->time_base = (AVRational){1, rate};
	av_channel_layout_default(&a->context->ch_layout, channels);
	return a;
}

// encoder_frame makes the frame that every call of the encoder fills anew.
static struct audio_codec *encoder_frame(struct audio_codec *a) {
	a->frame->format = a->context->sample_fmt;
	a->frame->nb_samples = a->context->frame_size;
	a->frame->sample_rate = a->context->sample_rate;
	if (av_channel_layout_copy(&a->frame->ch_layout, &a->context->ch_layout) == 0 && av_frame_get_buffer(a->frame, 0) == 0)
		return a;
	audio_codec_close(a);
	return NULL;
}

struct audio_codec *g722_decoder_open(void) {
	struct audio_codec *a = audio_codec_new(16000, 1);
	if (a && avcodec_open2(a->context, avcodec_find_decoder(AV_CODEC_ID_ADPCM_G722), NULL) < 0) {
		audio_codec_close(a);
		return NULL;
	}
	return a;
}

struct audio_codec *g722_encoder_open(int frame) {
	struct audio_codec *a = audio_codec_new(16000, 1);
	if (!a)
		return NULL;
	a->context->sample_fmt = AV_SAMPLE_FMT_S16;
	a->context->frame_size = frame;
	if (avcodec_open2(a->context, avcodec_find_encoder(AV_CODEC_ID_ADPCM_G722), NULL) < 0) {
		audio_codec_close(a);
		return NULL;
	}
	return encoder_frame(a);
}

struct audio_codec *aac_encoder_open(int rate, int channels, int bitrate) {
	struct audio_codec *a = audio_codec_new(rate, channels);
	if (!a)
		return NULL;
	a->context->sample_fmt = AV_SAMPLE_FMT_FLTP;
	a->context->bit_rate = bitrate;
	a->context->profile = FF_PROFILE_AAC_LOW;
	// The configuration goes to the container, not into each frame.
	a->context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	AVDictionary *options = NULL;
	av_dict_set(&options, "aac_coder", "fast", 0);
	int error = avcodec_open2(a->context, avcodec_find_encoder(AV_CODEC_ID_AAC), &options);
	av_dict_free(&options);
	if (error < 0) {
		audio_codec_close(a);
		return NULL;
	}
	return encoder_frame(a);
}

int g722_decode(struct audio_codec *a, const uint8_t *data, int size, int16_t *pcm, int capacity) {
	a->packet->data = (uint8_t *)data;
	a->packet->size = size;
	int error = avcodec_send_packet(a->context, a->packet);
	a->packet->data = NULL;
	a->packet->size = 0;
	if (error < 0 || avcodec_receive_frame(a->context, a->frame) < 0)
		return -1;
	int n = a->frame->nb_samples;
	if (n > capacity)
		n = -1;
	else
		memcpy(pcm, a->frame->data[0], 2 * n);
	av_frame_unref(a->frame);
	return n;
}

// collect copies the packet of the frame that was just filled, if there is one.
static int collect(struct audio_codec *a, uint8_t *data, int capacity) {
	if (avcodec_send_frame(a->context, a->frame) < 0)
		return -1;
	int error = avcodec_receive_packet(a->context, a->packet);
	if (error == AVERROR(EAGAIN))
		return 0;
	if (error < 0)
		return -1;
	int n = a->packet->size;
	if (n > capacity)
		n = -1;
	else
		memcpy(data, a->packet->data, n);
	av_packet_unref(a->packet);
	return n;
}

int g722_encode(struct audio_codec *a, const int16_t *pcm, int samples, uint8_t *data, int capacity) {
	int frame = a->context->frame_size, done = 0;
	if (samples % frame != 0)
		return -1;
	for (; samples > 0; samples -= frame, pcm += frame) {
		if (av_frame_make_writable(a->frame) < 0)
			return -1;
		memcpy(a->frame->data[0], pcm, 2 * frame);
		int n = collect(a, data + done, capacity - done);
		if (n < 0)
			return -1;
		done += n;
	}
	return done;
}

int aac_encode(struct audio_codec *a, const int16_t *pcm, uint8_t *data, int capacity) {
	if (av_frame_make_writable(a->frame) < 0)
		return -1;
	int channels = a->context->ch_layout.nb_channels;
	for (int c = 0; c < channels; c++) {
		float *plane = (float *)a->frame->extended_data[c];
		for (int i = 0; i < a->context->frame_size; i++)
			plane[i] = pcm[i * channels + c] * (1.0f / 32768);
	}
	a->frame->pts = AV_NOPTS_VALUE;
	return collect(a, data, capacity);
}
