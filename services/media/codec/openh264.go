package codec

/*
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wels/codec_api.h>

struct openh264 {
	ISVCEncoder *encoder;
	SSourcePicture in;
	SFrameBSInfo out;
	double frame_ms, now_ms;
};

static void openh264_free(struct openh264 *o) {
	if (o->encoder) {
		(*o->encoder)->Uninitialize(o->encoder);
		WelsDestroySVCEncoder(o->encoder);
	}
	free(o);
}

static struct openh264 *openh264_new(int width, int height, int fps, int bitrate, int level, int slice) {
	struct openh264 *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	SEncParamExt p;
	int quiet = WELS_LOG_QUIET;
	if (WelsCreateSVCEncoder(&o->encoder) != 0 || (*o->encoder)->GetDefaultParams(o->encoder, &p) != 0)
		goto fail;
	(*o->encoder)->SetOption(o->encoder, ENCODER_OPTION_TRACE_LEVEL, &quiet);
	p.iUsageType = CAMERA_VIDEO_REAL_TIME;
	p.iPicWidth = width;
	p.iPicHeight = height;
	p.fMaxFrameRate = fps;
	p.iTargetBitrate = p.iMaxBitrate = bitrate;
	p.iRCMode = RC_BITRATE_MODE;
	p.iTemporalLayerNum = p.iSpatialLayerNum = 1;
	p.iComplexityMode = LOW_COMPLEXITY;
	p.uiIntraPeriod = 0;
	p.iNumRefFrame = 1;
	p.eSpsPpsIdStrategy = CONSTANT_ID;
	p.iMultipleThreadIdc = 1;
	p.iEntropyCodingModeFlag = 0;
	// A skipped picture would be a gap in the layout's rhythm; the quantiser has to follow instead.
	p.bEnableFrameSkip = 0;
	p.bEnableDenoise = 0;
	p.bEnableSceneChangeDetect = 0;
	p.bEnableLongTermReference = 0;
	p.bEnableAdaptiveQuant = 1;
	// It saves hardly any time and costs 0.2 dB.
	p.bEnableBackgroundDetection = 0;
	p.uiMaxNalSize = slice;
	SSpatialLayerConfig *l = &p.sSpatialLayers[0];
	l->iVideoWidth = width;
	l->iVideoHeight = height;
	l->fFrameRate = fps;
	l->iSpatialBitrate = l->iMaxSpatialBitrate = bitrate;
	l->uiProfileIdc = PRO_BASELINE;
	l->uiLevelIdc = level ? level : LEVEL_UNKNOWN;
	l->sSliceArgument.uiSliceMode = slice ? SM_SIZELIMITED_SLICE : SM_SINGLE_SLICE;
	l->sSliceArgument.uiSliceSizeConstraint = slice;
	if ((*o->encoder)->InitializeExt(o->encoder, &p) != 0)
		goto fail;
	o->in.iColorFormat = videoFormatI420;
	o->in.iPicWidth = width;
	o->in.iPicHeight = height;
	o->frame_ms = 1000.0 / fps;
	return o;
fail:
	openh264_free(o);
	return NULL;
}

// openh264_one encodes a picture and returns the size of its access unit.
static int openh264_one(struct openh264 *o, const uint8_t *y, const uint8_t *u, const uint8_t *v, int stride_y, int stride_c, int key) {
	o->in.pData[0] = (uint8_t *)y;
	o->in.pData[1] = (uint8_t *)u;
	o->in.pData[2] = (uint8_t *)v;
	o->in.iStride[0] = stride_y;
	o->in.iStride[1] = o->in.iStride[2] = stride_c;
	o->in.uiTimeStamp = (long long)o->now_ms;
	o->now_ms += o->frame_ms;
	if (key)
		(*o->encoder)->ForceIntraFrame(o->encoder, 1);
	int code = (*o->encoder)->EncodeFrame(o->encoder, &o->in, &o->out);
	memset(o->in.pData, 0, sizeof o->in.pData);
	return code == cmResultSuccess ? o->out.iFrameSizeInBytes : -1;
}

static int openh264_take(struct openh264 *o, uint8_t *to) {
	int size = 0;
	for (int i = 0; i < o->out.iLayerNum; i++) {
		SLayerBSInfo *l = &o->out.sLayerInfo[i];
		int n = 0;
		for (int j = 0; j < l->iNalCount; j++)
			n += l->pNalLengthInByte[j];
		memcpy(to + size, l->pBsBuf, n);
		size += n;
	}
	return size;
}

// openh264_rate needs both limits in an order in which the target never exceeds the maximum.
static int openh264_rate(struct openh264 *o, int bitrate) {
	SBitrateInfo now = {SPATIAL_LAYER_ALL, 0}, want = {SPATIAL_LAYER_ALL, bitrate};
	ENCODER_OPTION order[] = {ENCODER_OPTION_BITRATE, ENCODER_OPTION_MAX_BITRATE};
	if ((*o->encoder)->GetOption(o->encoder, ENCODER_OPTION_BITRATE, &now) != 0)
		return -1;
	int up = bitrate > now.iBitrate;
	if ((*o->encoder)->SetOption(o->encoder, order[up], &want) != 0)
		return -1;
	return (*o->encoder)->SetOption(o->encoder, order[!up], &want);
}
*/
import "C"

import (
	"fmt"
	"slices"

	"rotunda/services/media/picture"
)

type openH264Encoder struct {
	c             *C.struct_openh264
	width, height int
}

func newOpenH264(o VideoOptions) (*openH264Encoder, error) {
	c := C.openh264_new(C.int(o.Width), C.int(o.Height), C.int(o.Rate), C.int(o.Bitrate), C.int(o.Level), C.int(o.MaxSlice))
	if c == nil {
		return nil, fmt.Errorf("open openh264, level %d: %w", o.Level, errEncoder)
	}
	return &openH264Encoder{c, o.Width, o.Height}, nil
}

func (e *openH264Encoder) Encode(dst []byte, f *picture.Frame, key bool) ([]byte, bool, error) {
	if e.c == nil {
		return dst, false, errClosed
	}
	if f.Width != e.width || f.Height != e.height {
		return dst, false, fmt.Errorf("encode %d × %d: %w", f.Width, f.Height, errSize)
	}
	n := C.openh264_one(e.c, plane(f.Y), plane(f.U), plane(f.V), C.int(f.StrideY), C.int(f.StrideC), flag(key))
	if n < 0 {
		return dst, false, fmt.Errorf("encode by openh264: %w", errEncoder)
	}
	if n == 0 {
		return dst, false, nil
	}
	dst = slices.Grow(dst, int(n))
	taken := C.openh264_take(e.c, plane(dst[len(dst):cap(dst)]))
	return dst[:len(dst)+int(taken)], e.c.out.eFrameType == C.videoFrameTypeIDR, nil
}

func (e *openH264Encoder) SetBitrate(bps int) error {
	if err := checkBitrate(bps); err != nil {
		return err
	}
	if e.c == nil {
		return errClosed
	}
	if C.openh264_rate(e.c, C.int(bps)) != 0 {
		return fmt.Errorf("set openh264 to %d bit/s: %w", bps, errEncoder)
	}
	return nil
}

func (e *openH264Encoder) Close() {
	if e.c != nil {
		C.openh264_free(e.c)
		e.c = nil
	}
}
