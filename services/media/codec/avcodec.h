// Video decoding, G.722 and AAC by libavcodec.
#include <stdint.h>
#include <libavcodec/avcodec.h>

// What video_decode says.
enum { DECODE_FRAME = 1, DECODE_NONE = 0, DECODE_BROKEN = -1, DECODE_REFUSED = -2 };

struct video_decoder {
	AVCodecContext *context;
	AVPacket *packet;
	AVFrame *next;
	// Set by the choice of the pixel format: the stream has none that is served.
	int refused;
};

struct video_decoder *video_decoder_open(enum AVCodecID id, int64_t max_pixels);
void video_decoder_close(struct video_decoder *d);
int video_decode(struct video_decoder *d, const uint8_t *data, int size, int64_t timestamp, AVFrame *out);

struct audio_codec {
	AVCodecContext *context;
	AVPacket *packet;
	AVFrame *frame;
};

struct audio_codec *g722_decoder_open(void);
struct audio_codec *g722_encoder_open(int frame);
struct audio_codec *aac_encoder_open(int rate, int channels, int bitrate);
void audio_codec_close(struct audio_codec *a);
int g722_decode(struct audio_codec *a, const uint8_t *data, int size, int16_t *pcm, int capacity);
int g722_encode(struct audio_codec *a, const int16_t *pcm, int samples, uint8_t *data, int capacity);
int aac_encode(struct audio_codec *a, const int16_t *pcm, uint8_t *data, int capacity);
