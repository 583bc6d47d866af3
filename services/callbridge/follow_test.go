package callbridge

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAProfileThatTheAPIChangesReachesTheEngine(t *testing.T) {
	h, engine := openWithMedia(t)
	_, location := h.expect(http.MethodPost, "/api/v1/callLegProfiles", url.Values{"participantLabels": {"true"}})
	profile := location[strings.LastIndex(location, "/")+1:]
	_, location = h.expect(http.MethodPost, "/api/v1/coSpaces", url.Values{"name": {"Weekly"}, "uri": {"88001"}, "callLegProfile": {profile}})
	space := location[strings.LastIndex(location, "/")+1:]
	wait := h.call(callerScenario("88001"), "udp")
	leg := ""
	until(t, "a connected leg", func() bool {
		legs := h.read("callLegs")
		if len(legs.Children) == 1 {
			leg = legs.Children[0].Attr("id")
		}
		return leg != "" && h.read("callLegs/"+leg).At("status", "state") == "connected"
	})
	labels := func(want bool) func() bool {
		return func() bool { return engine.Leg("callbridge", leg).View.Labels == want }
	}
	until(t, "names below pictures", labels(true))
	h.expect(http.MethodPut, "/api/v1/callLegProfiles/"+profile, url.Values{"participantLabels": {"false"}})
	until(t, "none, since the profile wants none", labels(false))
	_, location = h.expect(http.MethodPost, "/api/v1/callLegProfiles", url.Values{"participantLabels": {"true"}})
	h.expect(http.MethodPut, "/api/v1/coSpaces/"+space, url.Values{"callLegProfile": {location[strings.LastIndex(location, "/")+1:]}})
	until(t, "names, since the space has another profile", labels(true))
	if got := h.read("callLegs/"+leg).At("configuration", "participantLabels"); got != "true" {
		t.Errorf("the leg shows participantLabels %q", got)
	}
	h.expect(http.MethodPut, "/api/v1/system/profiles", url.Values{"callLegProfile": {profile}})
	h.expect(http.MethodPut, "/api/v1/coSpaces/"+space, url.Values{"callLegProfile": {""}})
	until(t, "none, as the profile of the system says", labels(false))
	h.expect(http.MethodDelete, "/api/v1/callLegs/"+leg, nil)
	wait()
}
