package webadmin

import (
	"errors"
	"strings"

	"rotunda/services/callbridge/schema"
)

// sentences for the failures that somebody at a form can meet. Codes that are not here are told by their name, which says enough
// to whoever knows the API.
var sentences = map[string]string{
	"duplicateCoSpaceUri":                   "Another space already uses this URI. Choose another one.",
	"duplicateCoSpaceId":                    "Another space already uses this call ID. Choose another one, or leave it empty.",
	"duplicateCoSpaceSecret":                "Another space already uses this secret.",
	"duplicateCoSpaceUriPasscode":           "The space, or another of its access methods, already has this URI with this passcode. Change one of them.",
	"duplicateCoSpaceIdPasscode":            "The space, or another of its access methods, already has this call ID with this passcode. Change one of them.",
	"duplicateCallBridgeName":               "Another Call Bridge already has this name.",
	"duplicateSipEndpointUri":               "Another endpoint already has this URI.",
	"inboundDialPlanRuleUriConflict":        "Another incoming rule already has this domain.",
	"ivrUriConflict":                        "Another IVR already uses this URI.",
	"passcodeTooShort":                      "The passcode is shorter than the dial-in security profile asks for.",
	"tooManyCdrReceivers":                   "There are as many CDR receivers as there may be. Delete one first.",
	"tooManyLdapSyncs":                      "Too many synchronisations are waiting. Let one finish first.",
	"ldapSyncCannotBeCancelled":             "This synchronisation already runs and cannot be cancelled.",
	"invalidOperation":                      "This is not possible for this object, for example because it was made by LDAP synchronisation.",
	"tenantGroupCoSpaceIdConflict":          "Two spaces of this tenant group would share a call ID.",
	"databaseNotReady":                      "The database is not ready yet. Try again in a moment.",
	"recordingNotAllowedByLicensing":        "The licence does not include recording.",
	"streamingNotAllowedByLicensing":        "The licence does not include streaming.",
	"userCoSpaceTemplateDeletionProhibited": "This template was assigned by LDAP synchronisation and cannot be removed here.",
	"unrecognizedObject":                    "The Call Bridge does not know this kind of object.",
}

// belongs are the fields beside which a failure without a parameter is shown, the first that the form has.
var belongs = map[string][]string{
	"duplicateCoSpaceUri":            {"uri", "secondaryUri"},
	"duplicateCoSpaceId":             {"callId"},
	"duplicateCoSpaceSecret":         {"secret"},
	"duplicateCoSpaceUriPasscode":    {"passcode", "uri"},
	"duplicateCoSpaceIdPasscode":     {"passcode", "callId"},
	"duplicateCallBridgeName":        {"name"},
	"inboundDialPlanRuleUriConflict": {"domain"},
	"ivrUriConflict":                 {"uri"},
	"passcodeTooShort":               {"passcode"},
	"tooManyCdrReceivers":            {"uri", "url"},
	"tenantGroupCoSpaceIdConflict":   {"tenantGroup", "callId"},
}

// words for what can be wrong with a parameter, where the API gives no detail.
var words = map[string]string{
	"invalidValue": "This value cannot be used.",
	"missing":      "This field must be filled in.",
	"duplicate":    "Another object already has this value.",
	"tooLong":      "This value is too long.",
}

// sentence tells a failure to people.
func (f fault) sentence() string {
	if f.Detail != "" {
		return upper(f.Detail)
	}
	if f.Parameter != "" {
		if s := words[f.Error]; s != "" {
			return s
		}
		return "This value was refused: " + f.Error + "."
	}
	if s := sentences[f.Code]; s != "" {
		return s
	}
	if kind, ok := strings.CutSuffix(f.Code, "DoesNotExist"); ok {
		return "The " + strings.ToLower(spaced(kind)) + " that this names does not exist any more."
	}
	return "The Call Bridge refused this: " + spaced(f.Code) + "."
}

// place sorts failures: those of a field of the form by its name, the others together.
func (r *refusal) place(o *schema.Object, has func(name string) bool) (fields map[string]string, others []string) {
	fields = map[string]string{}
next:
	for _, f := range r.Failures {
		candidates := belongs[f.Code]
		if f.Parameter != "" {
			candidates = []string{f.Parameter}
			if field := o.Field(f.Parameter); field != nil {
				candidates = []string{field.Name}
			}
		} else if kind, ok := strings.CutSuffix(f.Code, "DoesNotExist"); ok {
			// A reference names nothing: the field that refers to that type.
			for i := range o.Fields {
				if to := schema.Of(o.Fields[i].To); to != nil && (to.Missing == f.Code || to.Name == kind) {
					candidates = append(candidates, o.Fields[i].Name)
				}
			}
		}
		for _, name := range candidates {
			if has(name) && fields[name] == "" {
				fields[name] = f.sentence()
				continue next
			}
		}
		text := f.sentence()
		if f.Parameter != "" && f.Detail == "" {
			text = f.Parameter + ": " + text
		}
		others = append(others, text)
	}
	if len(r.Failures) == 0 {
		others = append(others, upper(r.Error())+".")
	}
	return fields, others
}

// asRefusal returns the refusal in an error.
func asRefusal(err error) (*refusal, bool) { return errors.AsType[*refusal](err) }

// publicly is an error as a page shows it: what the far end needs, without paths and addresses.
func publicly(err error) string {
	if errors.Is(err, errUnavailable) {
		return errUnavailable.Error()
	}
	if r, ok := asRefusal(err); ok {
		return r.Error()
	}
	return "the Call Bridge gave an answer that this page does not understand; the log says more"
}
