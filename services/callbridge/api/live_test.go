package api

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"rotunda/services/callbridge/failure"
	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// oneCall is call control with a call, a participant and its leg.
type oneCall struct {
	noCalls
	call, participant, leg store.ID
	did                    []string
	values                 map[string]string
}

func (l *oneCall) List(ctx context.Context, o *schema.Object, below *LiveParent, q LiveQuery) (int, []LiveObject, error) {
	one, _ := l.Get(ctx, o, map[*schema.Object]store.ID{schema.Call: l.call, schema.Participant: l.participant, schema.CallLeg: l.leg}[o])
	if q.Filter == "nothing" || q.Equal["tenant"] != "" {
		return 0, nil, nil
	}
	return 11, []LiveObject{one}, nil
}

func (l *oneCall) Has(o *schema.Object, id store.ID) bool {
	_, ok := l.Get(context.Background(), o, id)
	return ok
}

func (l *oneCall) Get(_ context.Context, o *schema.Object, id store.ID) (LiveObject, bool) {
	switch {
	case o == schema.Call && id == l.call:
		return LiveObject{ID: id, Values: map[string]string{"name": "Weekly", "locked": "false", "numCallLegs": "1"}}, true
	case o == schema.Participant && id == l.participant:
		return LiveObject{ID: id, Values: map[string]string{"name": "Anna", "call": l.call.String(), "status/state": "connected"}}, true
	case o == schema.CallLeg && id == l.leg:
		return LiveObject{ID: id, Values: map[string]string{"name": "Anna", "status/state": "connected", "status/rxVideo role=main/codec": "h264", "chosenLayout": "allEqual"},
			More: []Element{{Name: "alarms", Elements: []Element{{Name: "packetLoss"}}}}}, true
	}
	return LiveObject{}, false
}

func (l *oneCall) Create(_ context.Context, o *schema.Object, below *LiveParent, values map[string]string) (store.ID, error) {
	if below == nil && o != schema.Call || below != nil && below.ID != l.call {
		return store.ID{}, failure.ParticipantLimitReached
	}
	l.values = values
	return l.leg, nil
}

func (l *oneCall) Update(_ context.Context, o *schema.Object, id store.ID, values map[string]string) error {
	l.values = values
	return nil
}

func (l *oneCall) UpdateAll(_ context.Context, o *schema.Object, below LiveParent, p Params) error {
	l.did = append(l.did, "all "+o.Plural+" "+p.Get("rxAudioMute"))
	return nil
}

func (l *oneCall) Delete(_ context.Context, o *schema.Object, _ store.ID) error {
	l.did = append(l.did, "delete "+o.Name)
	return nil
}

func (l *oneCall) Camera(_ context.Context, _ store.ID, p Params) error {
	l.did = append(l.did, "pan "+p.Get("pan"))
	return nil
}

func (l *oneCall) Keyframe(context.Context, store.ID) error {
	l.did = append(l.did, "keyframe")
	return nil
}

func (l *oneCall) Profiles(leg store.ID) ([]LiveLevel, bool) {
	return []LiveLevel{{Scope: "global", Profile: l.call, Values: map[string]string{"needsActivation": "true"}}, {Scope: "callLeg", Values: map[string]string{"rxAudioMute": "true"}}}, leg == l.leg
}

func TestCallsAreShownAndChanged(t *testing.T) {
	live := &oneCall{call: uuid.New(), participant: uuid.New(), leg: uuid.New()}
	d := newDesk(t, openStore(t), func(o *Options) { o.Live = live })
	call, leg := "calls/"+live.call.String(), "callLegs/"+live.leg.String()
	for _, path := range []string{"calls", "callLegs", "participants", call + "/callLegs", call + "/participants", "participants/" + live.participant.String() + "/callLegs"} {
		if root := d.read(path, nil); root.attr("total") != "11" || len(root.Children) != 1 {
			t.Errorf("%s: want 1 of 11, got %v", path, root)
		}
		if root := d.read(path, url.Values{"filter": {"nothing"}}); root.attr("total") != "0" {
			t.Errorf("%s: want none, got %v", path, root)
		}
	}
	for path, code := range map[string]string{
		"calls/x/participants": "callDoesNotExist", "calls/" + uuid.NewString(): "callDoesNotExist", "callLegs/" + uuid.NewString(): "callLegDoesNotExist",
		"participants/" + uuid.NewString() + "/callLegs": "participantDoesNotExist", "callLegs/" + uuid.NewString() + "/callLegProfileTrace": "callLegDoesNotExist",
	} {
		d.fails(d.api(http.MethodGet, path, nil), http.StatusNotFound, code)
	}
	a := d.api(http.MethodGet, leg, nil)
	want := `<callLeg id="` + live.leg.String() + `"><name>Anna</name><configuration><chosenLayout>allEqual</chosenLayout></configuration>` +
		`<status><state>connected</state><rxVideo role="main"><codec>h264</codec></rxVideo></status><alarms><packetLoss/></alarms></callLeg>`
	if !strings.HasSuffix(a.body, want) {
		t.Errorf("want %s, got %s", want, a.body)
	}
	a = d.api(http.MethodPost, call+"/participants", url.Values{"remoteParty": {"anna@example.com"}, "rxaudiomute": {"On"}, "layout": {"allEqual"}})
	if a.status != http.StatusOK || a.location != "/api/v1/participants/"+live.leg.String() {
		t.Errorf("want a participant among all, got %d %q %s", a.status, a.location, a.body)
	}
	if want := map[string]string{"remoteParty": "anna@example.com", "rxAudioMute": "true", "layout": "allEqual"}; !maps.Equal(live.values, want) {
		t.Errorf("want %v, got %v", want, live.values)
	}
	d.fails(d.api(http.MethodPost, call+"/callLegs", url.Values{"callLegProfile": {uuid.NewString()}, "bandwidth": {"much"}}), http.StatusBadRequest,
		"callLegProfileDoesNotExist", "bandwidth:invalidValue")
	if a := d.api(http.MethodPut, leg, url.Values{"rxAudioMute": {"off"}, "remoteParty": {"x"}, "chosenLayout": {""}}); a.status != http.StatusOK {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if want := map[string]string{"rxAudioMute": "false", "chosenLayout": ""}; !maps.Equal(live.values, want) {
		t.Errorf("want %v, got %v", want, live.values)
	}
	for _, c := range [][3]string{
		{http.MethodPut, call + "/participants/*?rxAudioMute=true", "all participants true"}, {http.MethodPut, leg + "/cameraControl?pan=left", "pan left"},
		{http.MethodPost, leg + "/generateKeyframe", "keyframe"}, {http.MethodDelete, call, "delete call"}, {http.MethodDelete, "participants/" + live.participant.String(), "delete participant"},
	} {
		if a := d.api(c[0], c[1], nil); a.status != http.StatusOK || live.did[len(live.did)-1] != c[2] {
			t.Errorf("%s %s: want %s, got %d %v", c[0], c[1], c[2], a.status, live.did)
		}
	}
	d.fails(d.api(http.MethodPut, leg+"/cameraControl", url.Values{"pan": {"up"}, "zoom": {"out"}}), http.StatusBadRequest, "pan:invalidValue")
	d.fails(d.api(http.MethodPut, leg+"/cameraControl", nil), http.StatusBadRequest, "pan:missing")
	a = d.api(http.MethodGet, leg+"/callLegProfileTrace", nil)
	if want := `<profile scope="global"><callLegProfile id="` + live.call.String() + `"><needsActivation>true</needsActivation></callLegProfile></profile>` +
		`<profile scope="callLeg"><callLegProfile><rxAudioMute>true</rxAudioMute></callLegProfile></profile>`; !strings.Contains(a.body, want) {
		t.Errorf("want %s, got %s", want, a.body)
	}
}

func TestWithoutCallControlThereAreNoCalls(t *testing.T) {
	d := newDesk(t, openStore(t))
	for _, path := range []string{"calls", "callLegs", "participants"} {
		if root := d.read(path, nil); root.attr("total") != "0" || len(root.Children) != 0 {
			t.Errorf("%s: want none, got %v", path, root)
		}
		d.fails(d.api(http.MethodGet, path+"/"+uuid.NewString(), nil), http.StatusNotFound, schema.Of(path).Missing)
	}
	space := d.make("coSpaces", nil)
	d.fails(d.api(http.MethodPost, "calls", url.Values{"coSpace": {id(space)}, "name": {"x"}}), http.StatusServiceUnavailable, "callBridgeUnavailable")
	d.fails(d.api(http.MethodPost, "calls/"+uuid.NewString()+"/participants", nil), http.StatusNotFound, "callDoesNotExist")
	if found, _ := d.read("conversationIdQuery", url.Values{"conversationID": {"1234"}}).get("found"); found != "false" {
		t.Errorf("want false, got %s", found)
	}
	d.fails(d.api(http.MethodGet, "conversationIdQuery", nil), http.StatusBadRequest, "conversationId:missing")
}
