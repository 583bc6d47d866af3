#include "textflag.h"

// Next round key: FIPS 197 section 5.2 with the four words of X0 at once. The three shifts give each word the sum of those
// before it.
#define EXPAND(rcon, at) \
	AESKEYGENASSIST $rcon, X0, X1 \
	PSHUFD $0xFF, X1, X1          \
	MOVOU  X0, X2                 \
	PSLLO  $4, X2                 \
	PXOR   X2, X0                 \
	PSLLO  $4, X2                 \
	PXOR   X2, X0                 \
	PSLLO  $4, X2                 \
	PXOR   X2, X0                 \
	PXOR   X1, X0                 \
	MOVOU  X0, at(AX)

// func expandKey(keys *wideKeys, key *[16]byte)
TEXT ·expandKey(SB), NOSPLIT, $0-16
	MOVQ  keys+0(FP), AX
	MOVQ  key+8(FP), BX
	MOVOU (BX), X0
	MOVOU X0, (AX)
	EXPAND(0x01, 16)
	EXPAND(0x02, 32)
	EXPAND(0x04, 48)
	EXPAND(0x08, 64)
	EXPAND(0x10, 80)
	EXPAND(0x20, 96)
	EXPAND(0x40, 112)
	EXPAND(0x80, 128)
	EXPAND(0x1B, 144)
	EXPAND(0x36, 160)
	RET

// One counter block: the vector with the counter in its last two bytes, big endian.
#define BLOCK(x) \
	MOVW   R9, R10      \
	ROLW   $8, R10      \
	MOVOU  X9, x        \
	PINSRW $7, R10, x   \
	INCL   R9

// One round for all eight; they do not wait for each other, so the latency of AESENC is hidden.
#define ROUND(op, at) \
	MOVOU at(AX), X8 \
	op    X8, X0     \
	op    X8, X1     \
	op    X8, X2     \
	op    X8, X3     \
	op    X8, X4     \
	op    X8, X5     \
	op    X8, X6     \
	op    X8, X7

#define MIX(at, x) \
	MOVOU at(SI), X8 \
	PXOR  X8, x      \
	MOVOU x, at(DI)

// func xorWide(keys *wideKeys, dst, src *byte, count int, iv *[16]byte)
TEXT ·xorWide(SB), NOSPLIT, $0-40
	MOVQ    keys+0(FP), AX
	MOVQ    dst+8(FP), DI
	MOVQ    src+16(FP), SI
	MOVQ    count+24(FP), CX
	MOVQ    iv+32(FP), BX
	MOVOU   (BX), X9
	MOVWLZX 14(BX), R9
	ROLW    $8, R9

loop:
	BLOCK(X0)
	BLOCK(X1)
	BLOCK(X2)
	BLOCK(X3)
	BLOCK(X4)
	BLOCK(X5)
	BLOCK(X6)
	BLOCK(X7)
	ROUND(PXOR, 0)
	ROUND(AESENC, 16)
	ROUND(AESENC, 32)
	ROUND(AESENC, 48)
	ROUND(AESENC, 64)
	ROUND(AESENC, 80)
	ROUND(AESENC, 96)
	ROUND(AESENC, 112)
	ROUND(AESENC, 128)
	ROUND(AESENC, 144)
	ROUND(AESENCLAST, 160)
	MIX(0, X0)
	MIX(16, X1)
	MIX(32, X2)
	MIX(48, X3)
	MIX(64, X4)
	MIX(80, X5)
	MIX(96, X6)
	MIX(112, X7)
	ADDQ $128, SI
	ADDQ $128, DI
	DECQ CX
	JNZ  loop
	RET
