package metrics

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"rotunda/init/control"
	"rotunda/init/observe"
)

// cgroups has a folder for each service (see supervise).
const cgroups = "sys/fs/cgroup/rotunda"

// ofInit is what is seen of the machine.
func ofInit(root fs.FS, m *observe.Machine) *Page {
	p := NewPage("init")
	if m.Answered {
		p.Set("rotunda_build_info", 1, m.Release.Version, m.Release.Build, m.Release.Kernel, m.Release.Platform)
		p.Truth("rotunda_trial", m.Release.Trial)
		p.Set("rotunda_uptime_seconds", m.Health.Uptime.Seconds())
		p.Set("rotunda_alarms", float64(len(m.Health.Alarms)))
		p.Set("rotunda_init_memory_bytes", float64(m.Health.Memory.InitRSS))
	}
	for _, a := range m.Health.Alarms {
		p.Set("rotunda_alarm_since_seconds", float64(a.Since.UnixMilli())/1000, a.ID)
	}
	for _, s := range m.Health.Startup {
		p.Set("rotunda_boot_step_seconds", s.Duration.Seconds(), s.Name)
		p.Truth("rotunda_boot_step_failed", s.Error != "", s.Name)
	}
	for _, s := range m.Health.Services {
		p.Truth("rotunda_service_ready", s.State == "ready", s.Name)
		p.Set("rotunda_service_restarts_total", float64(s.Restarts), s.Name)
		p.Set("rotunda_service_uptime_seconds", s.Uptime.Seconds(), s.Name)
		group := path.Join(cgroups, s.Name)
		if n, ok := observe.Number(root, path.Join(group, "memory.current"), ""); ok {
			p.Set("rotunda_service_memory_bytes", float64(n), s.Name)
		}
		if n, ok := observe.Number(root, path.Join(group, "cpu.stat"), "usage_usec"); ok {
			p.Set("rotunda_service_cpu_seconds_total", float64(n)/1e6, s.Name)
		}
	}
	for _, one := range m.Health.Media {
		number := strconv.Itoa(one.Number)
		p.Set("rotunda_module_workers", float64(one.Workers), number)
		p.Set("rotunda_module_workers_ready", float64(one.Ready), number)
	}
	for name, kind := range map[string]string{"MemTotal": "total", "MemFree": "free", "MemAvailable": "available", "Buffers": "buffers", "Cached": "cached", "Shmem": "shared"} {
		if n, ok := m.Memory[name]; ok {
			p.Set("rotunda_memory_bytes", float64(n<<10), kind)
		}
	}
	if m.Processes > 0 {
		p.Set("rotunda_processes", float64(m.Processes))
		for i, minutes := range []string{"1", "5", "15"} {
			p.Set("rotunda_load", m.Load[i], minutes)
		}
	}
	for i, c := range m.CPU[min(1, len(m.CPU)):] {
		for mode, n := range map[string]uint64{"user": c.User, "nice": c.Nice, "system": c.System, "idle": c.Idle, "iowait": c.Wait, "irq": c.IRQ, "softirq": c.SoftIRQ, "steal": c.Steal} {
			// /proc counts in hundredths of a second (USER_HZ, proc(5)).
			p.Set("rotunda_cpu_seconds_total", float64(n)/100, strconv.Itoa(i), mode)
		}
	}
	for _, f := range m.Filesystems {
		p.Set("rotunda_filesystem_size_bytes", float64(f.Size), f.Mount)
		p.Set("rotunda_filesystem_used_bytes", float64(f.Used), f.Mount)
		p.Set("rotunda_filesystem_free_bytes", float64(f.Free), f.Mount)
		p.Set("rotunda_filesystem_inodes_free", float64(f.IFree), f.Mount)
	}
	for _, i := range m.Interfaces {
		p.Truth("rotunda_interface_up", i.Up && i.Carrier, i.Name)
		p.Set("rotunda_interface_speed_bits", float64(i.Speed)*1e6, i.Name)
		t, ok := m.Traffic[i.Kernel]
		if !ok {
			continue
		}
		for _, one := range []struct {
			name    string
			in, out uint64
		}{{"bytes", t.InBytes, t.OutBytes}, {"packets", t.InPackets, t.OutPackets}, {"errors", t.InErrors, t.OutErrors}, {"drops", t.InDrops, t.OutDrops}} {
			p.Set("rotunda_interface_"+one.name+"_total", float64(one.in), i.Name, "receive")
			p.Set("rotunda_interface_"+one.name+"_total", float64(one.out), i.Name, "transmit")
		}
	}
	return p
}

// ofTimesync, and the next two, say what daemons write of themselves; nil where there is nothing.
func ofTimesync(root fs.FS) *Page {
	var s control.TimeStatus
	if control.ReadStatus(root, control.TimeStatusFile, &s) != nil {
		return nil
	}
	p := NewPage("timesync")
	p.Truth("rotunda_clock_synchronized", s.Synchronized)
	p.Set("rotunda_clock_offset_seconds", s.Offset.Seconds())
	p.Set("rotunda_clock_error_seconds", s.Within.Seconds())
	for _, o := range s.Servers {
		p.Truth("rotunda_clock_server_used", o.State == "used", o.Name)
		p.Truth("rotunda_clock_server_reachable", o.Reach != 0, o.Name)
		if !o.Last.IsZero() {
			p.Set("rotunda_clock_server_offset_seconds", o.Offset.Seconds(), o.Name)
			p.Set("rotunda_clock_server_delay_seconds", o.Delay.Seconds(), o.Name)
		}
	}
	return p
}

func ofSyslog(root fs.FS) *Page {
	var s control.SyslogStatus
	if control.ReadStatus(root, control.SyslogStatusFile, &s) != nil {
		return nil
	}
	p := NewPage("syslog")
	for _, o := range s.Servers {
		log := "log"
		if o.Audit {
			log = "audit"
		}
		server := o.Name + " " + strconv.Itoa(o.Port)
		p.Truth("rotunda_syslog_connected", o.State == "connected", server, log)
		p.Set("rotunda_syslog_lines_total", float64(o.Sent), server, log)
		p.Set("rotunda_syslog_waiting_bytes", float64(max(o.Waiting, 0)), server, log)
	}
	return p
}

func ofSNMP(root fs.FS) *Page {
	var s control.SNMPStatus
	if control.ReadStatus(root, control.SNMPStatusFile, &s) != nil {
		return nil
	}
	p := NewPage("snmp")
	p.Set("rotunda_snmp_requests_total", float64(s.Requests))
	p.Set("rotunda_snmp_refused_total", float64(s.Refused))
	p.Set("rotunda_snmp_limited_total", float64(s.Limited))
	p.Set("rotunda_snmp_malformed_total", float64(s.Malformed))
	sent, lost := map[[2]string]uint64{}, map[[2]string]uint64{}
	for _, r := range s.Receivers {
		// A host may be told under several communities, which are nobody's business.
		k := [2]string{r.Host, r.Version}
		sent[k] += r.Sent
		lost[k] += r.Lost
	}
	for k := range sent {
		p.Set("rotunda_snmp_notifications_total", float64(sent[k]), k[:]...)
		p.Set("rotunda_snmp_notifications_lost_total", float64(lost[k]), k[:]...)
	}
	return p
}

// running says whether PID 1 runs a service.
func running(m *observe.Machine, name string) bool {
	return slices.ContainsFunc(m.Health.Services, func(s control.Service) bool { return s.Name == name || strings.HasPrefix(s.Name, name+"-") })
}
