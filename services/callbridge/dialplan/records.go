package dialplan

import (
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"

	"rotunda/services/callbridge/schema"
	"rotunda/services/callbridge/store"
)

// values are those of a record or a draft.
type values interface {
	ID() store.ID
	Text(field string) string
	Bool(field string) bool
	Ref(field string) (store.ID, bool)
}

func ref(v values, field string) store.ID {
	id, _ := v.Ref(field)
	return id
}

// priority is 0 where none is set.
func priority(v values) int64 {
	n, err := strconv.ParseInt(v.Text("priority"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func inboundOf(v values) InboundRule {
	return InboundRule{
		ID: v.ID(), Domain: v.Text("domain"), Priority: priority(v), Tenant: ref(v, "tenant"),
		IVRs: v.Bool("resolveToIvrs"), Users: v.Bool("resolveToUsers"), Spaces: v.Bool("resolveTocoSpaces"),
		LyncConferences: v.Bool("resolveToLyncConferences"), LyncSimplejoin: v.Bool("resolveToLyncSimplejoin"),
	}
}

func forwardingOf(v values) ForwardingRule {
	return ForwardingRule{
		ID: v.ID(), Pattern: v.Text("matchPattern"), Priority: priority(v), Reject: v.Text("action") != "forward",
		Domain: v.Text("destinationDomain"), PreserveCaller: v.Text("callerIdMode") == "preserve",
		KeepParameters: v.Text("uriParameters") == "forward", Tenant: ref(v, "tenant"),
	}
}

func outboundOf(v values) OutboundRule {
	return OutboundRule{
		ID: v.ID(), Domain: v.Text("domain"), Priority: priority(v), Proxy: v.Text("sipProxy"),
		ContactDomain: v.Text("localContactDomain"), FromDomain: v.Text("localFromDomain"),
		Trunk: set(v, "trunkType", SIP), Stop: v.Text("failureAction") != "continue", Encryption: set(v, "sipControlEncryption", Auto),
		Scope: set(v, "scope", Global), CallBridge: ref(v, "callBridge"), Group: ref(v, "callBridgeGroup"), Tenant: ref(v, "tenant"),
		Traversal: v.Text("callRouting") == "traversal",
	}
}

func transformOf(v values) TransformRule {
	return TransformRule{
		ID: v.ID(), Type: set(v, "type", Raw), Match: v.Text("match"), Replace: v.Text("transform"), Priority: priority(v),
		Action: set(v, "action", Accept),
	}
}

// set is what a field says, or the default of one that clients have unset.
func set[T ~string](v values, field string, otherwise T) T {
	if s := v.Text(field); s != "" {
		return T(s)
	}
	return otherwise
}

// Of makes a plan of the rules that a view shows at this moment. Pages that let an administrator try an address use it; calls use [Live].
func Of(v interface {
	Each(o *schema.Object, f func(*store.Record) bool)
}) *Plan {
	return Compile(read(v.Each))
}

// Source is where rules are kept: a *store.Store.
type Source interface {
	Each(o *schema.Object, f func(*store.Record) bool)
	Subscribe(f func(before, after *store.Record), objects ...*schema.Object) (cancel func())
}

// Live has the plan of the rules as they are now. It makes a new one when it is asked for the plan after a change, so that a script that
// writes a thousand rules costs no thousand plans; only the expressions of rules that changed are compiled again.
type Live struct {
	// Log takes down each rule that cannot be understood, once until it changes; nil for none. It is set before the first plan is asked for.
	Log *slog.Logger

	source Source
	cancel func()
	// changes counts what the source has reported; a plan knows at which count its making began.
	changes atomic.Uint64
	current atomic.Pointer[numbered]

	making   sync.Mutex
	compiled map[store.ID]compiledTransform
	reported map[Problem]bool
}

type numbered struct {
	plan *Plan
	at   uint64
}

type compiledTransform struct {
	from  TransformRule
	rule  *transformRule
	fault *fault
}

// Follow makes plans of a source's rules until Close.
func Follow(source Source) *Live {
	l := &Live{source: source}
	l.cancel = source.Subscribe(func(_, _ *store.Record) { l.changes.Add(1) },
		schema.InboundDialPlanRule, schema.ForwardingDialPlanRule, schema.OutboundDialPlanRule, schema.DialTransform)
	return l
}

// Close ends following; plans that were handed out stay good.
func (l *Live) Close() { l.cancel() }

// Plan is that of the rules as they were when the source last told of a change, which it does a moment after it is written.
func (l *Live) Plan() *Plan {
	if now := l.current.Load(); now != nil && now.at == l.changes.Load() {
		return now.plan
	}
	l.making.Lock()
	defer l.making.Unlock()
	// Read before the rules: a change that comes while they are read makes the next call begin again.
	at := l.changes.Load()
	if now := l.current.Load(); now != nil && now.at == at {
		return now.plan
	}
	before := l.compiled
	l.compiled = map[store.ID]compiledTransform{}
	plan := compile(read(l.source.Each), func(r TransformRule) (*transformRule, *fault) {
		c, ok := before[r.ID]
		if !ok || c.from != r {
			c = compiledTransform{from: r}
			c.rule, c.fault = compileTransform(r)
		}
		l.compiled[r.ID] = c
		return c.rule, c.fault
	})
	l.report(plan)
	l.current.Store(&numbered{plan, at})
	return plan
}

// report logs the rules that no call uses and that were not logged before.
func (l *Live) report(p *Plan) {
	now := map[Problem]bool{}
	for _, problem := range p.Problems() {
		if !problem.Ignored {
			continue
		}
		now[problem] = true
		if l.Log != nil && !l.reported[problem] {
			l.Log.Warn("a rule of the dial plan is passed over", "table", problem.Table, "rule", problem.Rule, "field", problem.Field, "why", problem.Why)
		}
	}
	l.reported = now
}

func read(each each) Rules {
	return Rules{
		Inbound:    rows(each, schema.InboundDialPlanRule, inboundOf),
		Forwarding: rows(each, schema.ForwardingDialPlanRule, forwardingOf),
		Outbound:   rows(each, schema.OutboundDialPlanRule, outboundOf),
		Transforms: rows(each, schema.DialTransform, transformOf),
	}
}

type each func(o *schema.Object, f func(*store.Record) bool)

func rows[R any](each each, o *schema.Object, of func(values) R) []R {
	var all []R
	each(o, func(r *store.Record) bool {
		all = append(all, of(r))
		return true
	})
	return all
}
