// Package dialplan decides where calls go: which IVR, user, space or Lync conference an incoming call is for, whether one that is
// for nobody here is forwarded, and by which ways an outgoing call is tried. It follows guide chapters 6 to 8 and reference
// sections 2.7 and 5.1 to 5.3.
//
// A [Plan] is compiled once from the rules and never changed, so any number of calls use it without a lock; [Live] replaces it when
// rules change. Matching is a pure function of the plan and the call. Nothing here looks anything up: what an incoming call may be
// for is asked of a function that the caller brings, and names are resolved by whoever makes the call.
//
// Invariants: a rule that cannot be understood matches no call and is listed by [Plan.Problems]; it never takes others with it.
// A rule that is bound to a tenant, a Call Bridge or a group never matches beyond it, even when what it is bound to is gone. The time that a
// match takes grows with the number of rules and the length of the address and with nothing else: regular expressions are RE2's, their
// size is bounded, and so is what replacements may write.
//
// There is no state that a crash could damage.
package dialplan

import (
	"cmp"
	"slices"
	"strings"

	"rotunda/services/callbridge/store"
)

// Rules are the four tables as administrators write them, in any order. A zero ID stands for none.
type Rules struct {
	Inbound    []InboundRule
	Forwarding []ForwardingRule
	Outbound   []OutboundRule
	Transforms []TransformRule
}

// InboundRule is a row of the call matching table.
type InboundRule struct {
	ID store.ID
	// Domain is complete, never a pattern.
	Domain   string
	Priority int64
	// What the user part may name.
	IVRs, Users, Spaces, LyncConferences, LyncSimplejoin bool
	// Tenant is the only one whose objects are looked at.
	Tenant store.ID
}

// ForwardingRule is a row of the call forwarding table.
type ForwardingRule struct {
	ID store.ID
	// Pattern has * for any run of characters, anywhere; * alone would send calls in a circle.
	Pattern  string
	Priority int64
	// Reject ends the call; otherwise it is forwarded, with Domain in place of the one that was called unless that is empty.
	Reject bool
	Domain string
	// PreserveCaller keeps the caller's own address; otherwise the outbound rule makes one.
	PreserveCaller bool
	// KeepParameters keeps the parameters of the URI that was called.
	KeepParameters bool
	// Tenant is whose call it becomes.
	Tenant store.ID
}

// OutboundRule is a row of the outbound table.
type OutboundRule struct {
	ID store.ID
	// Domain may have * anywhere; empty matches all.
	Domain   string
	Priority int64
	// Proxy is host[:port]; empty goes to the domain directly.
	Proxy                     string
	ContactDomain, FromDomain string
	Trunk                     Trunk
	// Stop ends the list when the rule's call cannot be made.
	Stop       bool
	Encryption Encryption
	Scope      Scope
	// CallBridge and Group count with their scope.
	CallBridge, Group store.ID
	Tenant            store.ID
	// Traversal sends media through a TURN server.
	Traversal bool
}

// TransformRule is a row of the table of dial transforms.
type TransformRule struct {
	ID       store.ID
	Type     TransformType
	Match    string
	Replace  string
	Priority int64
	Action   Action
}

// Trunk is the dialect of SIP that the far end speaks.
type Trunk string

// The trunks.
const (
	SIP   Trunk = "sip"
	Lync  Trunk = "lync"
	Avaya Trunk = "avaya"
)

// Encryption is that of signalling, not of media.
type Encryption string

// The modes.
const (
	// Auto tries TLS, then TCP where no TLS connection comes about.
	Auto        Encryption = "auto"
	Encrypted   Encryption = "encrypted"
	Unencrypted Encryption = "unencrypted"
)

// Scope says which Call Bridges use an outbound rule.
type Scope string

// The scopes.
const (
	Global          Scope = "global"
	OneCallBridge   Scope = "callBridge"
	CallBridgeGroup Scope = "callBridgeGroup"
)

// Plan is the compiled rules, each table in the order in which it is tried. The zero Plan is that of empty tables.
type Plan struct {
	inbound    []inboundRule
	byDomain   map[string][]int // of inbound, in order
	blank      int              // the first inbound rule without a domain; len(inbound) for none
	closed     bool             // there are inbound rules
	forwarding []forwardingRule
	outbound   []outboundRule
	transforms []*transformRule
	problems   []Problem
}

// Problem is something about a rule that its administrator should know.
type Problem struct {
	Table Table
	Rule  store.ID
	// Field is the API's name of what it is about.
	Field string
	Why   string
	// Ignored rules match no call.
	Ignored bool
}

// Table is one of the four.
type Table string

// The tables, by the names of the API.
const (
	Inbound    Table = "inboundDialPlanRules"
	Forwarding Table = "forwardingDialPlanRules"
	Outbound   Table = "outboundDialPlanRules"
	Transforms Table = "dialTransforms"
)

// Problems are those of all rules, table by table.
func (p *Plan) Problems() []Problem { return p.problems }

// Compile makes a plan. Rules that cannot be understood are left out and listed by [Plan.Problems].
func Compile(r Rules) *Plan { return compile(r, compileTransform) }

func compile(r Rules, transform func(TransformRule) (*transformRule, *fault)) *Plan {
	p := &Plan{}
	p.compileInbound(r.Inbound)
	p.compileForwarding(r.Forwarding)
	p.compileOutbound(r.Outbound)
	p.compileTransforms(r.Transforms, transform)
	return p
}

// fault is what is wrong with one field of a rule.
type fault struct {
	field string
	err   error
}

func (p *Plan) ignore(t Table, id store.ID, f *fault) {
	p.problems = append(p.problems, Problem{Table: t, Rule: id, Field: f.field, Why: f.err.Error(), Ignored: true})
}

func (p *Plan) advise(t Table, id store.ID, field, why string) {
	p.problems = append(p.problems, Problem{Table: t, Rule: id, Field: field, Why: why})
}

// place is where a rule stands in its table.
type place struct {
	priority int64
	// last rules come after the others of their priority.
	last bool
	text string
	id   store.ID
}

// at is the place of a rule with a domain. The guide gives the order of equal priorities for whole domains alone, where it is the
// alphabet's; whatever has a * comes after them, since it was written for what the others leave.
func at(priority int64, domain string, id store.ID) place {
	return place{priority, domain == "" || strings.Contains(domain, "*"), fold(domain), id}
}

// inOrder sorts rules as they are tried: by priority, the highest first, and in the end by ID, so that every Call Bridge of a cluster has
// the same order.
func inOrder[R any](rules []R, of func(R) place) []R {
	sorted := slices.Clone(rules)
	slices.SortFunc(sorted, func(r, s R) int {
		a, b := of(r), of(s)
		if a.priority == b.priority && a.last != b.last {
			if a.last {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(b.priority, a.priority), strings.Compare(a.text, b.text), slices.Compare(a.id[:], b.id[:]))
	})
	return sorted
}
