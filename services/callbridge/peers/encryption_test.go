package peers

import (
	"testing"

	"rotunda/services/callbridge/leg/baresip"
)

// Guide chapter 7.3: media encryption is allowed, required or disabled, whatever the control connection is.
func TestMediaAreEncryptedAsTheSettingsSay(t *testing.T) {
	h := open(t)
	for _, setting := range []string{"optional", "required", "prohibited"} {
		profile := h.creates("callLegProfiles", "sipMediaEncryption", setting)
		h.creates("coSpaces", "name", setting, "uri", setting, "callLegProfile", profile)
	}
	able := baresip.Start(t, baresip.Options{Name: "able", Tone: 500, Encryption: "srtp"})
	unable := baresip.Start(t, baresip.Options{Name: "unable", Tone: 900})
	for _, c := range []struct {
		phone     *baresip.Phone
		uri, want string
	}{
		{able, "optional", "true"},
		{able, "required", "true"},
		{able, "prohibited", "false"},
		{unable, "optional", "false"},
		{unable, "required", ""},
		{unable, "prohibited", "false"},
	} {
		c.phone.Dial(h.address(c.uri, "tcp"))
		if c.want == "" {
			// Refused: it was never up.
			c.phone.Await(baresip.Closed)
			h.totals("callLegs", "0")
			continue
		}
		c.phone.Await(baresip.Established)
		l := h.totals("callLegs", "1").Children[0]
		until(t, "the leg of a call to "+c.uri, func() bool {
			d := h.reads("callLegs/" + l.Attr("id"))
			return d.At("status", "state") == "connected" && d.At("status", "encryptedMedia") == c.want
		})
		c.phone.Hangup()
		c.phone.Await(baresip.Closed)
		h.totals("callLegs", "0")
	}
	t.Log("TLS without encrypted media, by an outbound rule")
	h.creates("outboundDialPlanRules", "domain", "phones.example", "sipProxy", unable.TLS.String(), "sipControlEncryption", "encrypted")
	able.Call(h.address("optional", "tcp"))
	call := h.totals("calls", "1").Children[0].Attr("id")
	h.creates("calls/"+call+"/participants", "remoteParty", "unable@phones.example")
	unable.Await(baresip.Established)
	unable.Keys("1")
	able.AwaitTone(900)
	unable.AwaitTone(500)
	encrypted := map[string]string{}
	for _, l := range h.totals("callLegs", "2").Children {
		d := h.reads("callLegs/" + l.Attr("id"))
		encrypted[d.At("direction")] = d.At("status", "encryptedMedia")
	}
	if encrypted["incoming"] != "true" || encrypted["outgoing"] != "false" {
		t.Errorf("encrypted media: got %v, want the incoming call's alone", encrypted)
	}
}
