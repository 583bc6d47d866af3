package webadmin

import (
	"strings"

	"rotunda/services/callbridge/schema"
)

// callSettings is Configuration > Call settings (guide 7.3, 7.4 and I.3).
func (v *visit) callSettings() {
	o := schema.CallSettings
	n, err := v.get(pathOf(o, ""), nil)
	if err != nil {
		v.fail(err)
		return
	}
	p := &sections{Submit: "Submit", Apply: "Apply to Active Calls", applyPath: pathOf(o, "") + "/applyToActiveCalls", applied: "saved, and applied to SIP calls in progress.",
		Intro: "What counts where no call leg profile says otherwise. Submit takes effect for the calls that begin from now on, Apply to Active Calls for those in progress too."}
	part := func(title, intro string, rows ...row) {
		s := &section{Title: title, Intro: intro, object: o, Form: newForm(o, "", false, rows...)}
		s.Form.read(n)
		p.Sections = append(p.Sections, s)
	}
	enabled := map[string]string{"true": "enabled", "false": "disabled"}
	part("SIP settings", "",
		row{name: "sipMediaEncryption", label: "SIP media encryption", names: map[string]string{"optional": "allowed", "required": "required", "prohibited": "disabled"}},
		row{name: "participantLabels", label: "Participant label overlays", names: enabled},
		row{name: "audioPacketSizeMs", label: "Preferred audio packet size", names: map[string]string{"10": "10 ms", "20": "20 ms", "40": "40 ms"}},
		row{name: "telepresenceCallsAllowed", label: "TIP (Telepresence Interoperability Protocol) calls", names: enabled,
			help: "Needed for Cisco CTS endpoints. Set both SIP bandwidths to 4000000 at least."},
		row{name: "sipPresentationChannelEnabled", label: "Presentation video channel operations", names: map[string]string{"true": "allowed", "false": "prohibited"},
			help: "When prohibited, neither a content channel nor BFCP is offered."},
		row{name: "bfcpMode", label: "BFCP mode", names: map[string]string{"serverOnly": "server role only", "serverAndClient": "server and client role"},
			help: "The client role is for content shared with another conference bridge."},
		row{name: "resourcePriority", label: "Resource-Priority header field"},
		row{name: "sipUdp", label: "UDP signaling for SIP", names: map[string]string{"disabled": "disabled", "singleAddress": "enabled, single address", "multiAddress": "enabled, multi address"}},
		row{name: "lyncPresence", label: "Lync presence support", names: enabled},
		row{name: "lyncPacketPacing", label: "Lync packet pacing mode", help: "Leave it at default, unless support asks."})
	var rates []row
	for i := range o.Fields {
		if name := o.Fields[i].Name; strings.HasSuffix(name, "Bandwidth") {
			rates = append(rates, row{name: name, label: bandwidths[name]})
		}
	}
	part("Bandwidth settings", "In bits per second: 2000000 is 2 Mbit/s, enough for 720p at 30 frames; 1080p needs about 3500000.", rates...)
	v.serve("Call settings", p)
}

var bandwidths = map[string]string{"sipReceiveBandwidth": "SIP, received", "sipTransmitBandwidth": "SIP, sent", "webAppReceiveBandwidth": "Web app, received",
	"webAppTransmitBandwidth": "Web app, sent", "serverReflexiveBandwidth": "Server reflexive", "relayBandwidth": "Relay", "vpnBandwidth": "VPN",
	"lyncContentBandwidth": "Lync content"}
