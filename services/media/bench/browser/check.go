package browser

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/pion/stun/v3"
)

const (
	// checkEvery until the first answer, consentEvery from then on.
	checkEvery   = 50 * time.Millisecond
	consentEvery = 5 * time.Second
)

// check asks the other side whether it is there, and nominates the only pair there is.
func (e *End) check(ctx context.Context) {
	every := checkEvery
	timer := time.NewTimer(0)
	defer timer.Stop()
	checked := e.checked
	for {
		select {
		case <-ctx.Done():
			return
		case <-checked:
			every, checked = consentEvery, nil
			continue
		case <-timer.C:
		}
		tie := make([]byte, 8)
		binary.BigEndian.PutUint64(tie, 1)
		request, err := stun.Build(stun.TransactionID, stun.BindingRequest,
			stun.NewUsername(e.remote.Ufrag+":"+e.Ufrag),
			stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{0x6e, 0x7f, 0x1e, 0xff}},
			stun.RawAttribute{Type: stun.AttrICEControlling, Value: tie},
			stun.RawAttribute{Type: stun.AttrUseCandidate},
			stun.NewShortTermIntegrity(e.remote.Password), stun.Fingerprint)
		if err == nil {
			e.load.Send(e.Far.Remote, request.Raw)
		}
		timer.Reset(every)
	}
}

// take sorts what is no media, on the thread of the load.
func (e *End) take(packet []byte, answer func([]byte)) {
	if !stun.IsMessage(packet) {
		e.records.push(packet)
		return
	}
	m := &stun.Message{Raw: append([]byte(nil), packet...)}
	if m.Decode() != nil {
		return
	}
	switch m.Type {
	case stun.BindingSuccess:
		e.once.Do(func() { close(e.checked) })
	case stun.BindingRequest:
		to := e.load.Address()
		response, err := stun.Build(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
			&stun.XORMappedAddress{IP: to.Addr().AsSlice(), Port: int(e.Far.Remote.Port())},
			stun.NewShortTermIntegrity(e.Password), stun.Fingerprint)
		if err == nil {
			answer(response.Raw)
		}
	}
}

// random is a credential of so many characters (RFC 8445 section 5.3).
func random(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
	b := make([]byte, n)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = letters[b[i]&63]
	}
	return string(b)
}
