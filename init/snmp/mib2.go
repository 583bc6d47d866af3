package snmp

import (
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
	"time"

	"rotunda/init/control"
	"rotunda/init/observe"
)

var (
	mib2        = mustOID("1.3.6.1.2.1")
	ifEntry     = mib2.with(2, 2, 1)
	ifXEntry    = mib2.with(31, 1, 1, 1)
	hostMIB     = mib2.with(25)
	ucd         = mustOID("1.3.6.1.4.1.2021")
	snmpModules = mustOID("1.3.6.1.6.3")
	zeroDotZero = oid{0, 0}
)

// grow makes the tree of what was seen. The caller holds mu.
func (w *watch) grow(s *observe.Machine) *tree {
	b := new(builder)
	busy := w.measure(s.At, s.CPU)
	w.system(b, s)
	w.statistics(b)
	interfaces(b, s)
	host(b, s, busy)
	ucdMemory(b, s)
	ucdDisks(b, s)
	ucdLoad(b, s)
	addOwn(b, s)
	return b.build()
}

// uptime of the agent: sysUpTime is that of the network management part (RFC 3418).
func (w *watch) uptime() value {
	return ticks(time.Since(w.agent.started).Milliseconds() / 10)
}

func (w *watch) system(b *builder, s *observe.Machine) {
	system := mib2.with(1)
	b.scalar(system.with(1), text(strings.TrimSpace(fmt.Sprintf("Rotunda %s (%s), %s, Linux %s %s", s.Release.Version, s.Release.Build, s.Release.Board, s.Release.Kernel, runtime.GOARCH))))
	b.scalar(system.with(2), object(enterprise))
	b.live(system.with(3), w.uptime)
	b.scalar(system.with(4), text(""))
	b.scalar(system.with(5), text(w.hostname))
	b.scalar(system.with(6), text(""))
	// An application and a host: layers 7 and 4 (RFC 3418).
	b.scalar(system.with(7), integer(72))
	b.scalar(system.with(8), ticks(0))
}

// statistics are those of the agent itself (RFC 3418, 3411, 3412, 3414).
func (w *watch) statistics(b *builder) {
	a := w.agent
	snmp := mib2.with(11)
	for _, c := range []struct {
		name oid
		n    func() uint64
	}{
		{snmp.with(1), a.in.Load}, {snmp.with(3), a.badVersions.Load}, {snmp.with(4), a.badCommunity.Load}, {snmp.with(5), a.badUses.Load}, {snmp.with(6), a.parse.Load},
		{snmp.with(31), func() uint64 { return a.drops.Load() + a.limited.Load() }}, {snmp.with(32), func() uint64 { return 0 }},
		{snmpModules.with(11, 2, 1, 1), a.badModels.Load}, {snmpModules.with(11, 2, 1, 2), a.invalid.Load}, {snmpModules.with(11, 2, 1, 3), a.unhandled.Load},
		{snmpModules.with(12, 1, 5), a.contexts.Load},
		{usmStats.with(1), a.levels.Load}, {usmStats.with(2), a.windows.Load}, {usmStats.with(3), a.users.Load}, {usmStats.with(4), a.engines.Load},
		{usmStats.with(5), a.digests.Load}, {usmStats.with(6), a.decryption.Load},
	} {
		b.live(c.name, func() value { return counter32(c.n()) })
	}
	// Whether authenticationFailure is sent.
	b.scalar(snmp.with(30), integer(1))
	engine := snmpModules.with(10, 2, 1)
	b.live(engine.with(1), func() value {
		a.mu.Lock()
		defer a.mu.Unlock()
		return octets(a.engine)
	})
	b.scalar(engine.with(2), integer(a.boots))
	b.live(engine.with(3), func() value { return integer(a.seconds(time.Now())) })
	b.scalar(engine.with(4), integer(maxMessage))
}

// interfaces are a to d (RFC 2863), by the names that administrators use.
func interfaces(b *builder, s *observe.Machine) {
	b.scalar(mib2.with(2, 1), integer(len(s.Interfaces)))
	for _, i := range s.Interfaces {
		index := []uint32{interfaceNumber(i.Name)}
		t := s.Traffic[i.Kernel]
		mac, _ := hex.DecodeString(strings.ReplaceAll(i.MAC, ":", ""))
		bits := uint64(max(i.Speed, 0)) * 1e6
		unicast := t.InPackets - min(t.InMulticast, t.InPackets)
		b.row(ifEntry, index, map[uint32]value{
			1: integer(int(index[0])), 2: text(i.Name), 3: integer(6 /* ethernetCsmacd */), 4: integer(i.MTU), 5: gauge32(bits), 6: octets(mac),
			7: upDown(i.Up), 8: operational(i), 9: ticks(0),
			10: counter32(t.InBytes), 11: counter32(unicast), 12: counter32(t.InMulticast), 13: counter32(t.InDrops), 14: counter32(t.InErrors), 15: counter32(0),
			16: counter32(t.OutBytes), 17: counter32(t.OutPackets), 18: counter32(0), 19: counter32(t.OutDrops), 20: counter32(t.OutErrors), 21: gauge32(0),
			22: object(zeroDotZero),
		})
		b.row(ifXEntry, index, map[uint32]value{
			1: text(i.Name), 2: counter32(t.InMulticast), 3: counter32(0), 4: counter32(0), 5: counter32(0),
			6: counter64(t.InBytes), 7: counter64(unicast), 8: counter64(t.InMulticast), 9: counter64(0),
			10: counter64(t.OutBytes), 11: counter64(t.OutPackets), 12: counter64(0), 13: counter64(0),
			14: integer(1 /* enabled */), 15: gauge32(uint64(max(i.Speed, 0))), 16: integer(2), 17: truth(true), 18: text(i.Kernel), 19: ticks(0),
		})
	}
}

func upDown(up bool) value {
	if up {
		return integer(1)
	}
	return integer(2)
}

// operational needs a link as well.
func operational(i control.Interface) value { return upDown(i.Up && i.Carrier) }

// host is HOST-RESOURCES-MIB (RFC 2790): hrSystem, hrStorage, hrDevice and hrProcessor.
func host(b *builder, s *observe.Machine, busy []int) {
	system := hostMIB.with(1)
	b.scalar(system.with(1), ticks(s.Health.Uptime.Milliseconds()/10))
	b.live(system.with(2), func() value { return octets(dateAndTime(time.Now())) })
	b.scalar(system.with(5), gauge32(0))
	b.scalar(system.with(6), gauge32(s.Processes))
	b.scalar(system.with(7), integer(0))
	b.scalar(hostMIB.with(2, 2), integer(int64(s.Memory["MemTotal"])))

	types := hostMIB.with(2, 1)
	storage := func(index uint32, kind oid, name string, unit, size, used uint64) {
		// Integer32 ends at two thousand million units: bigger ones make it fit.
		for size > 1<<31-1 {
			unit, size, used = unit*2, size/2, used/2
		}
		b.row(hostMIB.with(2, 3, 1), []uint32{index}, map[uint32]value{
			1: integer(int(index)), 2: object(kind), 3: text(name), 4: integer(int64(unit)), 5: integer(int64(size)), 6: integer(int64(used)), 7: counter32(0),
		})
	}
	m := s.Memory
	storage(1, types.with(2), "Physical memory", 1024, m["MemTotal"], m["MemTotal"]-min(m["MemFree"], m["MemTotal"]))
	storage(6, types.with(1), "Memory buffers", 1024, m["MemTotal"], m["Buffers"])
	storage(7, types.with(1), "Cached memory", 1024, m["Cached"], m["Cached"])
	storage(8, types.with(1), "Shared memory", 1024, m["Shmem"], m["Shmem"])
	for i, f := range s.Filesystems {
		kind := types.with(4) // hrStorageFixedDisk
		if f.Mount != "/data" {
			kind = types.with(8) // hrStorageRamDisk
		}
		storage(uint32(31+i), kind, f.Mount, 4096, f.Size/4096, f.Used/4096)
	}
	device := hostMIB.with(3)
	for i := range max(len(s.CPU)-1, 0) {
		// Numbers of processors as net-snmp has them.
		index := []uint32{uint32(196608 + i)}
		b.row(device.with(2, 1), index, map[uint32]value{1: integer(int(index[0])), 2: object(device.with(1, 3)), 3: text(fmt.Sprintf("Processor %d", i)),
			4: object(zeroDotZero), 5: integer(2 /* running */), 6: counter32(0)})
		b.row(device.with(3, 1), index, map[uint32]value{1: object(zeroDotZero), 2: integer(busy[i])})
	}
}

// dateAndTime is RFC 2579's, in UTC.
func dateAndTime(t time.Time) []byte {
	t = t.UTC()
	return []byte{byte(t.Year() >> 8), byte(t.Year()), byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second()), byte(t.Nanosecond() / 1e8), '+', 0, 0}
}

// ucdMemory has no swap: the machine has none.
func ucdMemory(b *builder, s *observe.Machine) {
	memory := ucd.with(4)
	m := s.Memory
	for n, v := range map[uint32]value{
		1: integer(0), 2: text("swap"), 3: integer(int64(m["SwapTotal"])), 4: integer(int64(m["SwapFree"])), 5: integer(int64(m["MemTotal"])), 6: integer(int64(m["MemFree"])),
		11: integer(int64(m["MemFree"] + m["SwapFree"])), 12: integer(0), 13: integer(int64(m["Shmem"])), 14: integer(int64(m["Buffers"])), 15: integer(int64(m["Cached"])),
		100: integer(0), 101: text(""),
	} {
		b.scalar(memory.with(n), v)
	}
}

// fullDisk is how full a disk may be, in percent, before it is an error here.
const fullDisk = 90

func ucdDisks(b *builder, s *observe.Machine) {
	for i, f := range s.Filesystems {
		total, free, used := f.Size>>10, f.Free>>10, f.Used>>10
		flag, message := 0, ""
		percent := part(used, used+free)
		if percent > fullDisk {
			flag, message = 1, fmt.Sprintf("%s: more than %d%% full", f.Mount, fullDisk)
		}
		b.row(ucd.with(9, 1), []uint32{uint32(i + 1)}, map[uint32]value{
			1: integer(i + 1), 2: text(f.Mount), 3: text(f.Device), 4: integer(-1), 5: integer(100 - fullDisk),
			6: integer(int64(total)), 7: integer(int64(free)), 8: integer(int64(used)), 9: integer(percent), 10: integer(part(f.IUsed, f.Inodes)),
			11: gauge32(total & 0xffffffff), 12: gauge32(total >> 32), 13: gauge32(free & 0xffffffff), 14: gauge32(free >> 32), 15: gauge32(used & 0xffffffff), 16: gauge32(used >> 32),
			100: integer(flag), 101: text(message),
		})
	}
}

func part(of, all uint64) int {
	if all == 0 {
		return 0
	}
	return int(float64(of)/float64(all)*100 + 0.5)
}

func ucdLoad(b *builder, s *observe.Machine) {
	for i, minutes := range []int{1, 5, 15} {
		b.row(ucd.with(10, 1), []uint32{uint32(i + 1)}, map[uint32]value{
			1: integer(i + 1), 2: text(fmt.Sprintf("Load-%d", minutes)), 3: text(fmt.Sprintf("%.2f", s.Load[i])), 4: text("0.00"), 5: integer(int(s.Load[i]*100 + 0.5)),
			100: integer(0), 101: text(""),
		})
	}
	if len(s.CPU) == 0 {
		return
	}
	stats, all := ucd.with(11), s.CPU[0]
	for n, v := range map[uint32]uint64{50: all.User, 51: all.Nice, 52: all.System, 53: all.Idle, 54: all.Wait, 56: all.IRQ, 61: all.SoftIRQ, 64: all.Steal,
		59: s.Interrupts, 60: s.Switches} {
		b.scalar(stats.with(n), counter32(v))
	}
}
