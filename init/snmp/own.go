package snmp

import (
	"rotunda/init/control"
	"rotunda/init/observe"
)

// enterprise is where our own objects are: below net-snmp's subtree for objects without a number of their own at IANA
// (NET-SNMP-MIB, netSnmpPlaypen). The MIB is made from it, so a number of our own is a change of this line.
var enterprise = mustOID("1.3.6.1.4.1.8072.9999.9999.4443")

// syntax is a type of RFC 2578 as the MIB has it.
type syntax string

const (
	displayString syntax = "SnmpAdminString"
	integer32     syntax = "Integer32"
	gauge         syntax = "Gauge32"
	counter       syntax = "Counter32"
	timeTicks     syntax = "TimeTicks"
	truthValue    syntax = "TruthValue"
	serviceState  syntax = "INTEGER { starting(1), ready(2), backoff(3), stopping(4), stopped(5), failed(6) }"
)

// states are the numbers of [serviceState].
var states = map[string]int{"starting": 1, "ready": 2, "backoff": 3, "stopping": 4, "stopped": 5, "failed": 6}

// own is one declaration of an object of ours: a scalar, or a column of the table it comes after.
type own struct {
	name   string
	syntax syntax
	// units and help go into the MIB.
	units, help string
	// scalar looks it up; of a column it is nil.
	scalar func(*observe.Machine) value
}

// ownTable is a table of ours, whose rows have names.
type ownTable struct {
	name, row, index, help string
	columns                []own
	rows                   func(*observe.Machine) map[string][]value
}

// ownGroup has scalars, numbered from 1, and then tables.
type ownGroup struct {
	name    string
	scalars []own
	tables  []ownTable
}

// objects are all our own: the group's number, then that of the object in it, are the places in these lists, so new ones go to an end.
var objects = []ownGroup{
	{name: "rotundaSystem", scalars: []own{
		{"rotundaVersion", displayString, "", "The release that runs.", func(s *observe.Machine) value { return text(s.Release.Version) }},
		{"rotundaBuild", displayString, "", "Tells two builds of one release apart.", func(s *observe.Machine) value { return text(s.Release.Build) }},
		{"rotundaPlatform", displayString, "", "The type that upgrades and backups have to match.", func(s *observe.Machine) value { return text(s.Release.Platform) }},
		{"rotundaBoard", displayString, "", "What the machine is.", func(s *observe.Machine) value { return text(s.Release.Board) }},
		{"rotundaTrial", truthValue, "", "True until this version has committed itself.", func(s *observe.Machine) value { return truth(s.Release.Trial) }},
	}},
	{name: "rotundaAlarms", scalars: []own{
		{"rotundaAlarmCount", gauge, "alarms", "How many alarms there are.", func(s *observe.Machine) value { return gauge32(uint64(len(s.Health.Alarms))) }},
	}, tables: []ownTable{{
		name: "rotundaAlarmTable", row: "rotundaAlarmEntry", index: "rotundaAlarmName", help: "The alarms there are. docs/failures.md says what to do about each.",
		columns: []own{
			{"rotundaAlarmText", displayString, "", "What is wrong.", nil},
			{"rotundaAlarmAge", timeTicks, "", "Since when.", nil},
		},
		rows: func(s *observe.Machine) map[string][]value {
			rows := map[string][]value{}
			for _, a := range s.Health.Alarms {
				rows[a.ID] = []value{text(a.Text), ticks(s.At.Sub(a.Since).Milliseconds() / 10)}
			}
			return rows
		},
	}}},
	{name: "rotundaServices", tables: []ownTable{{
		name: "rotundaServiceTable", row: "rotundaServiceEntry", index: "rotundaServiceName", help: "The services that PID 1 looks after.",
		columns: []own{
			{"rotundaServiceState", serviceState, "", "Where it is in its life; ready is good.", nil},
			{"rotundaServiceRestarts", counter, "restarts", "How often it was started anew.", nil},
			{"rotundaServiceUptime", timeTicks, "", "How long it has been running.", nil},
		},
		rows: func(s *observe.Machine) map[string][]value {
			rows := map[string][]value{}
			for _, one := range s.Health.Services {
				rows[one.Name] = []value{integer(states[one.State]), counter32(uint64(one.Restarts)), ticks(one.Uptime.Milliseconds() / 10)}
			}
			return rows
		},
	}}},
	{name: "rotundaMedia", scalars: []own{
		{"rotundaMediaWorkers", gauge, "workers", "How many media workers there should be.", func(s *observe.Machine) value {
			return gauge32(sum(s.Health.Media, func(m control.MediaModule) int { return m.Workers }))
		}},
		{"rotundaMediaWorkersReady", gauge, "workers", "How many serve.", func(s *observe.Machine) value {
			return gauge32(sum(s.Health.Media, func(m control.MediaModule) int { return m.Ready }))
		}},
	}},
	{name: "rotundaClock", scalars: []own{
		{"rotundaClockSynchronized", truthValue, "", "Whether the clock follows an NTP server.", func(s *observe.Machine) value { return truth(s.Clock.Synchronized) }},
		{"rotundaClockOffset", integer32, "microseconds", "What it was behind when it was last looked at.", func(s *observe.Machine) value { return integer(s.Clock.Offset.Microseconds()) }},
		{"rotundaClockReachable", gauge, "servers", "How many NTP servers answer.", func(s *observe.Machine) value {
			return gauge32(sum(s.Clock.Servers, func(t control.TimeServer) int {
				if t.Reach != 0 {
					return 1
				}
				return 0
			}))
		}},
	}},
}

// sum of a figure over a list.
func sum[T any](list []T, figure func(T) int) (n uint64) {
	for _, one := range list {
		n += uint64(max(figure(one), 0))
	}
	return n
}

// notification is one of ours (below 0 of the subtree, RFC 2578 section 8.5).
type notification struct {
	name    string
	objects []string
	help    string
}

// notifications, numbered from 1.
var notifications = []notification{
	{"rotundaAlarmRaised", []string{"rotundaAlarmText"}, "Something is wrong that somebody should know or do something about."},
	{"rotundaAlarmCleared", []string{"rotundaAlarmText"}, "It is over."},
	{"rotundaServiceDown", []string{"rotundaServiceState"}, "A service that was ready is not any more."},
	{"rotundaServiceUp", []string{"rotundaServiceState"}, "It is ready again."},
}

func notificationOID(name string) oid {
	for i, n := range notifications {
		if n.name == name {
			return enterprise.with(0, uint32(i+1))
		}
	}
	panic("no notification " + name)
}

// maxRowName is how much of a name is an index: a manager takes 128 parts, of which the column has some.
const maxRowName = 96

// addOwn puts all of ours into a tree.
func addOwn(b *builder, s *observe.Machine) {
	for g, group := range objects {
		root := enterprise.with(1, uint32(g+1))
		for i, o := range group.scalars {
			b.scalar(root.with(uint32(i+1)), o.scalar(s))
		}
		for i, t := range group.tables {
			entry := root.with(uint32(len(group.scalars)+i+1), 1)
			for name, row := range t.rows(s) {
				index := named(name[:min(len(name), maxRowName)])
				for c, v := range row {
					// Column 1 is the index, which is not accessible.
					b.add(entry.with(uint32(c+2)), index, v)
				}
			}
		}
	}
}

// ownColumn is the name of a column in the row of a name.
func ownColumn(column, row string) oid {
	for g, group := range objects {
		for i, t := range group.tables {
			for c, o := range t.columns {
				if o.name == column {
					return enterprise.with(1, uint32(g+1), uint32(len(group.scalars)+i+1), 1, uint32(c+2)).with(named(row[:min(len(row), maxRowName)])...)
				}
			}
		}
	}
	panic("no column " + column)
}
