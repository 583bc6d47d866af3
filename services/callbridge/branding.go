package callbridge

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"rotunda/services/callbridge/api"
	"rotunda/services/callbridge/prompts"
	"rotunda/services/callbridge/prompts/prompt"
	"rotunda/services/callbridge/store"
)

// brandingAlarms gives each prompt or picture that cannot be used an alarm that lasts as long as that does: callBrandingResourceInvalid and
// ivrBrandingResourceInvalid (reference section 2.11).
type brandingAlarms struct {
	mu     sync.Mutex
	active map[brandingFault]api.Alarm
}

type brandingFault struct {
	kind           prompt.Kind
	location, file string
	profile        store.ID
}

// list makes the alarms of failures. Without objects nobody knows whose profiles they are of.
func (a *brandingAlarms) list(failures []prompts.Failure, v store.View) []api.Alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.active
	a.active = map[brandingFault]api.Alarm{}
	var list []api.Alarm
	for _, f := range failures {
		// A file of this machine is of no profile.
		profiles := []store.ID{{}}
		if v != nil && f.Location != "" {
			profiles = f.Profiles(v)
		}
		for _, profile := range profiles {
			key := brandingFault{f.Kind, f.Location, f.File, profile}
			one, ok := before[key]
			if !ok {
				one = api.Alarm{ID: uuid.New(), Since: time.Now()}
			}
			name := "callBrandingProfile"
			if one.Type = "callBrandingResourceInvalid"; f.Kind == prompt.IVR {
				one.Type, name = "ivrBrandingResourceInvalid", "ivrBrandingProfile"
			}
			one.Details = nil
			if profile != (store.ID{}) {
				one.Details = append(one.Details, api.Text(name, profile.String()))
			}
			one.Details = append(one.Details, api.Text("fileName", f.File), api.Text("failureReason", f.Reason()))
			a.active[key] = one
			list = append(list, one)
		}
	}
	return list
}
