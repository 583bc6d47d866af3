package control

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// requestTimeout is how long a server works on one request.
const requestTimeout = 10 * time.Second

// The bodies of requests that are not an object of their own.
type (
	// ID names an object.
	ID struct {
		ID string `json:"id"`
	}
	// KeysRequest are key tones to send to the far end of a leg.
	KeysRequest struct {
		Leg  string `json:"leg"`
		Keys string `json:"keys"`
	}
	// KeyFrameRequest asks for a key frame of "main" or "presentation".
	KeyFrameRequest struct {
		Leg    string `json:"leg"`
		Stream string `json:"stream"`
	}
	// IDs list what is there, or wanted.
	IDs struct {
		Legs        []string `json:"legs,omitempty"`
		Conferences []string `json:"conferences,omitempty"`
	}
	// None is the answer that says only that it is done.
	None struct{}
)

// request is one thing that can be asked.
type request struct {
	name string
	once bool
	// about is what the documentation says.
	about            string
	question, answer reflect.Type
	// prepare reads and checks a body. Requests about the same object are served in order.
	prepare func(body json.RawMessage) (object string, run func(context.Context, Service) (any, error), err error)
}

// define makes a request; check returns the object that the question is about.
func define[Q, A any](name, about string, check func(Q) (string, error), run func(context.Context, Service, Q) (A, error)) request {
	return request{
		name: name, about: about, question: reflect.TypeFor[Q](), answer: reflect.TypeFor[A](),
		prepare: func(body json.RawMessage) (string, func(context.Context, Service) (any, error), error) {
			var q Q
			if len(body) > 0 {
				if err := json.Unmarshal(body, &q); err != nil {
					return "", nil, Errorf(CodeInvalid, "%s: %v", name, err)
				}
			}
			object, err := check(q)
			return object, func(ctx context.Context, s Service) (any, error) { return run(ctx, s, q) }, err
		},
	}
}

// requestList is the table of what can be asked: the dispatcher, the client's retries and the documentation are made from it.
var requestList = []request{
	define("putConference", "Make or change a conference.",
		func(q Conference) (string, error) { return conferenceKey(q.ID), checkID("conference", q.ID) },
		func(ctx context.Context, s Service, q Conference) (None, error) {
			return None{}, s.PutConference(ctx, q)
		}),
	define("deleteConference", "Delete a conference. Its legs stay, each alone. One that is not there is no error.",
		func(q ID) (string, error) { return conferenceKey(q.ID), checkID("conference", q.ID) },
		func(ctx context.Context, s Service, q ID) (None, error) { return None{}, s.DeleteConference(ctx, q.ID) }),
	define("putLeg", "Make or change a leg; the answer is the local half.",
		func(q Leg) (string, error) { return legKey(q.ID), checkLeg(q) },
		func(ctx context.Context, s Service, q Leg) (LegState, error) { return s.PutLeg(ctx, q) }),
	define("deleteLeg", "Delete a leg, close its ports, complete its sinks. One that is not there is no error.",
		func(q ID) (string, error) { return legKey(q.ID), checkID("leg", q.ID) },
		func(ctx context.Context, s Service, q ID) (None, error) { return None{}, s.DeleteLeg(ctx, q.ID) }),
	define("play", "Start a prompt; the event `played` follows when it is through.",
		func(q Play) (string, error) { return playKey(q.ID), checkPlay(q) },
		func(ctx context.Context, s Service, q Play) (None, error) { return None{}, s.Play(ctx, q) }),
	define("stopPlay", "Stop a prompt. One that is not there is no error.",
		func(q ID) (string, error) { return playKey(q.ID), checkID("prompt", q.ID) },
		func(ctx context.Context, s Service, q ID) (None, error) { return None{}, s.StopPlay(ctx, q.ID) }),
	once(define("sendKeys", "Send key tones (`0-9*#A-D`, `,` is a pause of 500 ms) to the far end. The only request that must not be repeated blindly.",
		func(q KeysRequest) (string, error) { return legKey(q.Leg), checkKeys(q) },
		func(ctx context.Context, s Service, q KeysRequest) (None, error) {
			return None{}, s.SendKeys(ctx, q.Leg, q.Keys)
		})),
	define("keyFrame", "Make the next picture that the leg is sent, of `main` or `presentation`, a key frame.",
		func(q KeyFrameRequest) (string, error) { return legKey(q.Leg), checkKeyFrame(q) },
		func(ctx context.Context, s Service, q KeyFrameRequest) (None, error) {
			return None{}, s.KeyFrame(ctx, q.Leg, q.Stream)
		}),
	define("stats", "The figures of these legs, 100 at most; of all of the owner's without any. Unknown ones are left out.",
		checkStats,
		func(ctx context.Context, s Service, q IDs) ([]LegStats, error) { return s.Stats(ctx, q.Legs) }),
	define("status", "The media modules and their workers.",
		func(None) (string, error) { return "", nil },
		func(ctx context.Context, s Service, _ None) ([]Module, error) { return s.Status(ctx) }),
	define("sync", "Delete everything of the owner that is not listed, and raise `lost` for what is listed and not there.",
		func(IDs) (string, error) { return "", nil },
		func(ctx context.Context, s Service, q IDs) (None, error) {
			return None{}, s.Sync(ctx, q.Legs, q.Conferences)
		}),
}

// once marks a request whose repetition does more than the first.
func once(r request) request {
	r.once = true
	return r
}

// requests are the table by name.
var requests = func() map[string]request {
	byName := map[string]request{}
	for _, r := range requestList {
		byName[r.name] = r
	}
	return byName
}()

func legKey(id string) string        { return "leg " + id }
func conferenceKey(id string) string { return "conference " + id }
func playKey(id string) string       { return "play " + id }

func checkLeg(l Leg) error {
	if err := checkID("leg", l.ID); err != nil {
		return err
	}
	for _, id := range []string{l.Conference, l.Near} {
		if len(id) > MaxID {
			return checkID("conference", id)
		}
	}
	return nil
}

func checkPlay(p Play) error {
	if err := checkID("prompt", p.ID); err != nil {
		return err
	}
	if (p.Leg == "") == (p.Conference == "") {
		return Errorf(CodeInvalid, "prompt %s: want a leg or a conference, and not both", p.ID)
	}
	return nil
}

func checkKeys(q KeysRequest) error {
	if err := checkID("leg", q.Leg); err != nil {
		return err
	}
	if len(q.Keys) == 0 || len(q.Keys) > 64 || strings.ContainsFunc(q.Keys, func(r rune) bool { return !strings.ContainsRune("0123456789*#ABCD,", r) }) {
		return Errorf(CodeInvalid, "keys %.64q: want 1 to 64 of 0-9*#A-D,", q.Keys)
	}
	return nil
}

func checkKeyFrame(q KeyFrameRequest) error {
	if q.Stream != "main" && q.Stream != "presentation" {
		return Errorf(CodeInvalid, "stream %.64q: want main or presentation", q.Stream)
	}
	return checkID("leg", q.Leg)
}

func checkStats(q IDs) (string, error) {
	if len(q.Legs) > MaxStats {
		return "", Errorf(CodeInvalid, "figures of %d legs at a time: the most is %d", len(q.Legs), MaxStats)
	}
	return "", nil
}
