// Package metrics is what every daemon counts, declared once: [Table] says names, kinds, units and labels, and from it come the text
// that daemons write, what is let through of it, and docs/reference/metrics.md.
//
// A daemon answers on a unix socket ([Serve]) that PID 1 has made a folder for, which only the gatherer's group may enter. The
// gatherer is the verb "metrics" of PID 1's program ([Main]): unprivileged, confined, and the only one that listens, on loopback. It asks all
// sockets, PID 1 by the control socket, and reads the states that daemons write as files, and lets through what the table
// declares for who says it: a daemon that is not to be trusted any more can lie about itself alone.
//
// Nothing is stored. A daemon that does not answer is missing in the text, and rotunda_up says so. The text is
// Prometheus's exposition format 0.0.4. It is small enough that PID 1's program needs no library for it, and one way for all is
// less to know than two.
package metrics

//go:generate go test -count=1 -run ReferencePage -update .

// Kind is how a figure behaves.
type Kind string

const (
	// Counter only grows, but for a restart of who counts.
	Counter Kind = "counter"
	// Gauge goes up and down.
	Gauge Kind = "gauge"
)

// Metric is one figure, with a sample for each set of values of its labels.
type Metric struct {
	Name   string
	Kind   Kind
	Labels []string
	Help   string
}

// Daemon is who counts, with all that it counts.
type Daemon struct {
	Name    string
	Help    string
	Metrics []Metric
}

func counter(name, help string, labels ...string) Metric {
	return Metric{name, Counter, labels, help}
}

func gauge(name, help string, labels ...string) Metric { return Metric{name, Gauge, labels, help} }

// Table is everything, in the order of the text. Units are in the names: seconds, bytes, bits (a second), ratio (0 to 1).
var Table = []Daemon{
	{"metrics", "The gatherer itself.", []Metric{
		gauge("rotunda_up", "1 if the daemon answered when it was asked for its figures; a service that is switched off is missing", "daemon"),
	}},
	{"init", "PID 1 and the machine. The command health shows the same numbers.", []Metric{
		gauge("rotunda_build_info", "1, with what runs as labels", "version", "build", "kernel", "platform"),
		gauge("rotunda_trial", "1 while this version has not committed itself"),
		gauge("rotunda_uptime_seconds", "Time since the kernel started"),
		gauge("rotunda_alarms", "Alarms that there are"),
		gauge("rotunda_alarm_since_seconds", "When the alarm was raised, as Unix time", "alarm"),
		gauge("rotunda_boot_step_seconds", "How long a step of the start took", "step"),
		gauge("rotunda_boot_step_failed", "1 if a step of the start went wrong", "step"),
		gauge("rotunda_service_ready", "1 if the service is ready", "service"),
		counter("rotunda_service_restarts_total", "How often the service was started anew", "service"),
		gauge("rotunda_service_uptime_seconds", "How long the service has been running", "service"),
		gauge("rotunda_service_memory_bytes", "Memory of all processes of the service", "service"),
		counter("rotunda_service_cpu_seconds_total", "Processor time of all processes of the service", "service"),
		gauge("rotunda_module_workers", "Media workers that a media module should have", "module"),
		gauge("rotunda_module_workers_ready", "Media workers of a media module that serve", "module"),
		gauge("rotunda_init_memory_bytes", "Resident memory of PID 1"),
		gauge("rotunda_memory_bytes", "Memory of the machine", "kind"),
		gauge("rotunda_load", "Load average over so many minutes", "minutes"),
		gauge("rotunda_processes", "Processes and threads"),
		counter("rotunda_cpu_seconds_total", "What a processor has done", "cpu", "mode"),
		gauge("rotunda_filesystem_size_bytes", "Size of a file system", "mount"),
		gauge("rotunda_filesystem_used_bytes", "Used bytes of a file system", "mount"),
		gauge("rotunda_filesystem_free_bytes", "Bytes of a file system that services can have", "mount"),
		gauge("rotunda_filesystem_inodes_free", "Files that a file system can still have", "mount"),
		gauge("rotunda_interface_up", "1 if an interface is up and has a link", "interface"),
		gauge("rotunda_interface_speed_bits", "Speed of an interface, 0 if it is not known", "interface"),
		counter("rotunda_interface_bytes_total", "Bytes through an interface", "interface", "direction"),
		counter("rotunda_interface_packets_total", "Packets through an interface", "interface", "direction"),
		counter("rotunda_interface_errors_total", "Packets of an interface with errors", "interface", "direction"),
		counter("rotunda_interface_drops_total", "Packets of an interface that were dropped", "interface", "direction"),
	}},
	{"timesync", "The clock. The command ntp status shows the same.", []Metric{
		gauge("rotunda_clock_synchronized", "1 if the clock follows a server"),
		gauge("rotunda_clock_offset_seconds", "What the clock was behind when it was last looked at"),
		gauge("rotunda_clock_error_seconds", "How wrong that may be"),
		gauge("rotunda_clock_server_used", "1 for the server that the clock follows", "server"),
		gauge("rotunda_clock_server_reachable", "1 if the server answered one of the last eight questions", "server"),
		gauge("rotunda_clock_server_offset_seconds", "What the clock is behind the server", "server"),
		gauge("rotunda_clock_server_delay_seconds", "How long question and answer take", "server"),
	}},
	{"syslog", "The log on its way to servers. The command syslog shows the same.", []Metric{
		gauge("rotunda_syslog_connected", "1 if the server takes the log", "server", "log"),
		counter("rotunda_syslog_lines_total", "Lines sent, repeated ones included", "server", "log"),
		gauge("rotunda_syslog_waiting_bytes", "How much of the log a server does not have yet", "server", "log"),
	}},
	{"snmp", "The SNMP agent. The command snmp shows the same.", []Metric{
		counter("rotunda_snmp_requests_total", "Messages of any kind"),
		counter("rotunda_snmp_refused_total", "Messages with a wrong community, user or key"),
		counter("rotunda_snmp_limited_total", "Messages beyond what a source may ask"),
		counter("rotunda_snmp_malformed_total", "Messages that are no SNMP"),
		counter("rotunda_snmp_notifications_total", "Traps and informs sent", "host", "version"),
		counter("rotunda_snmp_notifications_lost_total", "Traps that could not be sent, and informs without an answer", "host", "version"),
	}},
	{"resolver", "Names, for everything on this machine.", []Metric{
		counter("rotunda_dns_questions_total", "Questions"),
		counter("rotunda_dns_cached_total", "Questions that the cache had the answer to"),
		counter("rotunda_dns_asked_total", "Questions that servers were asked"),
		counter("rotunda_dns_failed_total", "Questions that no server had an answer to"),
		counter("rotunda_dns_busy_total", "Questions refused because too many were under way"),
	}},
	{"mmp", "The management shell.", []Metric{
		counter("rotunda_mmp_logins_total", "Logins by SSH, SFTP and console, and those that services ask about", "result"),
		gauge("rotunda_mmp_sessions", "Sessions at the moment"),
		counter("rotunda_mmp_commands_total", "Commands that were run", "result"),
	}},
	{"database", "The database of the application.", []Metric{
		gauge("rotunda_database_size_bytes", "Size of the file"),
		gauge("rotunda_database_used_bytes", "How much of it is in use"),
		gauge("rotunda_database_leader", "1 if this node leads"),
		gauge("rotunda_database_has_leader", "1 if there is a leader: without one nothing can be changed"),
		counter("rotunda_database_changes_total", "Changes applied"),
	}},
	{"callbridge", "Calls and the API. The API's system/status shows the same.", []Metric{
		gauge("rotunda_database_connected", "1 if the Call Bridge has the objects of the database"),
		gauge("rotunda_calls", "Conferences at the moment"),
		gauge("rotunda_participants", "Participants at the moment"),
		gauge("rotunda_call_legs", "Call legs at the moment"),
		gauge("rotunda_call_legs_most", "Most call legs at one time since the start"),
		counter("rotunda_call_legs_completed_total", "Call legs that have ended; the rate of it and of rotunda_call_legs is calls per second"),
		gauge("rotunda_call_media_bits", "Bits a second of media of all calls", "media", "direction"),
		gauge("rotunda_media_load_ratio", "Load of media processing, 1 is all that the machine can carry"),
		counter("rotunda_sip_responses_total", "SIP responses by class", "direction", "class"),
		counter("rotunda_sip_requests_total", "SIP requests by method", "direction", "method"),
		gauge("rotunda_cdr_waiting", "Call records that the receiver does not have yet", "receiver"),
		counter("rotunda_cdr_sent_total", "Call records that the receiver has acknowledged", "receiver"),
		counter("rotunda_cdr_lost_total", "Call records that were discarded because too many waited for the receiver", "receiver"),
		gauge("rotunda_api_alarms", "Alarms that the API shows"),
		counter("rotunda_api_requests_total", "Requests to the API by class of the answer", "class"),
		counter("rotunda_api_seconds_total", "Time that requests to the API took"),
		gauge("rotunda_licence_seconds_left", "Time until a licensed feature ends", "feature"),
	}},
	{"media", "Media workers, as they report to the media manager.", []Metric{
		gauge("rotunda_media_worker_capacity_units", "Load units that the worker can carry, as it measured at its start", "worker"),
		gauge("rotunda_media_worker_used_units", "Load units in use", "worker"),
		gauge("rotunda_media_worker_busy_ratio", "Part of the core in use", "worker"),
		gauge("rotunda_media_worker_legs", "Legs", "worker"),
		gauge("rotunda_media_worker_tick_late_seconds", "99.9th percentile of the lateness of the audio tick over 10 s", "worker"),
		gauge("rotunda_media_worker_memory_bytes", "Resident memory", "worker"),
		counter("rotunda_media_worker_packets_total", "Packets of all legs, those that have ended included", "worker", "direction"),
		counter("rotunda_media_worker_packets_lost_total", "Packets of far ends that did not come", "worker"),
		counter("rotunda_media_worker_packets_dropped_total", "Packets that were not processed, or could not be sent; the statistics of a leg say why", "worker"),
	}},
	{"turn", "The TURN server.", []Metric{
		gauge("turn_allocations", "Allocations at the moment"),
		gauge("turn_channels", "Channels at the moment"),
		gauge("turn_relay_ports_free", "Relay ports that are free"),
		gauge("turn_connections", "TCP and TLS connections of clients"),
		counter("turn_packets_total", "Packets of media, by where they came from or went to", "direction"),
		counter("turn_bytes_total", "Bytes of media without headers", "direction"),
		counter("turn_requests_total", "STUN requests and indications that were passed on"),
		counter("turn_credentials_refused_total", "Requests with credentials that were refused", "reason"),
		counter("turn_drops_total", "Packets dropped", "reason"),
		counter("turn_allocations_total", "Allocations made"),
		counter("turn_allocations_refused_total", "Allocations refused", "reason"),
		counter("turn_peers_refused_total", "Permissions and channels refused because of the peer"),
	}},
	{"webadmin", "The Web Admin: pages, and the API from outside.", []Metric{
		counter("rotunda_webadmin_requests_total", "Requests by class of the answer", "class"),
		counter("rotunda_webadmin_seconds_total", "Time that requests took, downloads and event streams included"),
		counter("rotunda_webadmin_logins_total", "Logins to pages and to metrics", "result"),
		gauge("rotunda_webadmin_sessions", "Browsers that have signed in"),
	}},
}

// find is a metric of a daemon.
func find(daemon, name string) *Metric {
	for i := range Table {
		if Table[i].Name != daemon {
			continue
		}
		for n := range Table[i].Metrics {
			if m := &Table[i].Metrics[n]; m.Name == name {
				return m
			}
		}
	}
	return nil
}
