// Package control is the one way into PID 1: HTTP and JSON on a unix socket, so that common tools can read it.
//
// The kernel says who calls (SO_PEERCRED): root and the management shell may change things, every other user may
// read what its service needs. This file declares the messages; [Client] sends them, [Server] answers them by asking
// a [Machine]. Both ends come from one release, so the messages carry no version.
//
// Errors travel as {"error": "text"} with a 4xx status for what the caller did wrong and 5xx for what the machine
// could not do; [Error] keeps the text and the status.
package control

import (
	"context"
	"net/netip"
	"time"

	"rotunda/init/config"
)

// SocketPath is where PID 1 listens.
const SocketPath = "/run/rotunda/control.sock"

// Machine is all that may be asked of PID 1. [Client] implements it over the socket and init implements it for real,
// so that the shell can be tried against either.
type Machine interface {
	// Config returns the running document with its generation number.
	Config(ctx context.Context) (Config, error)
	// SetConfig validates, stores, applies and reads back. It fails with status 409 if the stored generation is no
	// longer the given one, with 422 if the document is not valid (nothing changed).
	SetConfig(ctx context.Context, generation int, doc *config.Document) (Applied, error)
	// TryConfig is SetConfig for a change that may cut off who makes it: unless it is confirmed within [config.ConfirmWithin], what it
	// changed of the network and the firewall is taken back. From is who makes it, as the audit log names a session.
	TryConfig(ctx context.Context, generation int, doc *config.Document, from string) (Applied, error)
	// ConfirmConfig keeps such a change. It fails with status 404 if there is none, and with 409 for a connection that was made before the
	// change was: only somebody who has come in since shows that it can be done.
	ConfirmConfig(ctx context.Context, by Confirmation) error
	// Interfaces returns what the kernel says, in the order a, b, c, d; only names that have hardware.
	Interfaces(ctx context.Context) ([]Interface, error)

	Release(ctx context.Context) (Release, error)
	Health(ctx context.Context) (Health, error)
	Filesystems(ctx context.Context) ([]Filesystem, error)

	Clock(ctx context.Context) (time.Time, error)
	SetClock(ctx context.Context, t time.Time) error

	// Versions lists the installed versions, the newest first.
	Versions(ctx context.Context) ([]Version, error)
	// CheckUpgrade verifies signature, platform, size and room of a file in the transfer folder; nothing changes.
	CheckUpgrade(ctx context.Context, file string) (UpgradePlan, error)
	// Upgrade takes the automatic backup, installs beside the running version and reboots when it is on the disk.
	Upgrade(ctx context.Context, file string) (UpgradePlan, error)
	// DeleteVersion removes an installed version that is neither running nor the one to fall back to.
	DeleteVersion(ctx context.Context, number int) error

	// Snapshot writes <name>.bak into the transfer folder and returns its file name.
	Snapshot(ctx context.Context, name string) (string, error)
	// CheckBackup reads a .bak to its last byte; nothing changes.
	CheckBackup(ctx context.Context, file string) (Backup, error)
	// Rollback replaces everything by the backup in one step and reboots.
	Rollback(ctx context.Context, file string) error
	// FactoryReset clears the application (scope "app") or everything ("full") in one step and reboots.
	FactoryReset(ctx context.Context, scope string) error

	// Capture writes the packets of an interface into a file of the transfer folder until it is told to end, has its largest size, or
	// whoever asks is gone: it returns only then. listening is called once before that, when no packet is missed any more. It fails with
	// status 404 for an interface that there is not, 409 while there is another one on it, and 507 if the disk is too full; what ends
	// before it listened leaves no file.
	Capture(ctx context.Context, o CaptureOrder, listening func()) (Capture, error)
	// StopCapture ends the capture on an interface, with status 404 if there is none.
	StopCapture(ctx context.Context, iface string) error
	// Traces returns what the kernel said, and the whole trace of a crash.
	Traces(ctx context.Context) (Traces, error)

	// Restart ends a service that is configured and starts it anew, by its settings and files as they are now. It fails with status
	// 404 for an unknown one and 409 for one that is not enabled.
	Restart(ctx context.Context, service string) error

	// Power ends this boot: "reboot" or "shutdown".
	Power(ctx context.Context, action string) error
}

// Config is the running document.
type Config struct {
	Generation int              `json:"generation"`
	Document   *config.Document `json:"document"`
	// FailSafe says why the document is the fail-safe one; empty in normal running.
	FailSafe string `json:"failSafe,omitempty"`
}

// Confirmation is who confirms a change.
type Confirmation struct {
	// From is the session, as the audit log names it.
	From string `json:"from"`
	// Age is how long ago its connection was made; 0 at a console, which no change cuts off.
	Age time.Duration `json:"age"`
}

// Applied answers a change.
type Applied struct {
	Generation int `json:"generation"`
	// RebootNeeded lists the settings that take effect at the next start, for example "hostname".
	RebootNeeded []string `json:"rebootNeeded,omitempty"`
	// Warnings are differences between wanted and actual that applying could not remove.
	Warnings []string `json:"warnings,omitempty"`
}

// Interface is one interface as the kernel has it.
type Interface struct {
	Name   string `json:"name"`
	Kernel string `json:"kernel"`
	MAC    string `json:"mac"`
	Driver string `json:"driver"`
	Up     bool   `json:"up"`
	// Carrier is whether the link is there.
	Carrier bool `json:"carrier"`
	MTU     int  `json:"mtu"`
	// Speed in Mbit/s, 0 if unknown.
	Speed      int            `json:"speed,omitempty"`
	FullDuplex bool           `json:"fullDuplex,omitempty"`
	Addresses  []netip.Prefix `json:"addresses,omitempty"`
	Routes     []Route        `json:"routes,omitempty"`
	// Lease is the DHCP lease in use.
	Lease *Lease `json:"lease,omitempty"`
}

// Route is one kernel route of an interface, of every table that concerns it.
type Route struct {
	Source      netip.Addr   `json:"source,omitzero"`
	Destination netip.Prefix `json:"destination"`
	Gateway     netip.Addr   `json:"gateway,omitzero"`
	// Global is true for the default route.
	Global bool `json:"global"`
	Table  int  `json:"table"`
}

// Lease is what a DHCP server gave (RFC 2131).
type Lease struct {
	Address netip.Prefix `json:"address"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	DNS     []netip.Addr `json:"dns,omitempty"`
	Server  netip.Addr   `json:"server,omitzero"`
	Expires time.Time    `json:"expires"`
}

// CaptureOrder asks for a capture.
type CaptureOrder struct {
	// Interface is a, b, c or d, File a name that ends in .pcap and is not there yet.
	Interface string `json:"interface"`
	File      string `json:"file"`
	// Limit is the largest size of the file, and Reserve what stays free on the disk, both in bytes.
	Limit   int64  `json:"limit"`
	Reserve uint64 `json:"reserve"`
}

// Why a capture ended by itself or not.
const (
	CaptureStopped = "stopped"
	CaptureLimit   = "limit"
	CaptureDisk    = "disk"
)

// Capture is what has become of one.
type Capture struct {
	Packets uint64 `json:"packets"`
	// Dropped are those that came faster than they could be written.
	Dropped uint64 `json:"dropped"`
	// Bytes is the size of the file.
	Bytes int64 `json:"bytes"`
	// Ended is one of the constants.
	Ended string `json:"ended"`
}

// Traces are for whoever looks for the cause of a fault.
type Traces struct {
	// Kernel is its log since the start, as far as its memory reaches.
	Kernel string `json:"kernel"`
	// Crash is the trace that the boot before left, empty if it ended well.
	Crash string `json:"crash,omitempty"`
}

// Release is what runs.
type Release struct {
	// Version is the release, for example "0.1.0"; Build tells two builds of one release apart.
	Version string `json:"version"`
	Build   string `json:"build"`
	Kernel  string `json:"kernel"`
	// Platform is the type that backups and upgrades must match, for example "vm".
	Platform string `json:"platform"`
	// Board is the board's full name.
	Board string `json:"board"`
	// Hardware is what the maker calls the machine, and Serial its number; empty where the firmware does not say.
	Hardware string `json:"hardware,omitempty"`
	Serial   string `json:"serial,omitempty"`
	// SigningKey is "release", or "development" for an image that accepts upgrades signed by the public development key.
	SigningKey string `json:"signingKey"`
	// Trial is true until this version has committed itself.
	Trial bool `json:"trial"`
}

// Health is how the machine is.
type Health struct {
	Uptime   time.Duration `json:"uptime"`
	Alarms   []Alarm       `json:"alarms"`
	Services []Service     `json:"services"`
	// Media are the media modules of this machine.
	Media []MediaModule `json:"media,omitempty"`
	// Startup is the chain of start-up steps with their durations.
	Startup []Step `json:"startup"`
	Memory  Memory `json:"memory"`
	// LastCrash is the trace that the boot before left, empty if it ended well. It is for those who may change things.
	LastCrash string `json:"lastCrash,omitempty"`
	// LastCrashAt is when that trace was found.
	LastCrashAt time.Time `json:"lastCrashAt,omitzero"`
}

// Alarm is something that an administrator should know or do.
type Alarm struct {
	// ID is stable, for example "crash-loop:mmp".
	ID    string    `json:"id"`
	Text  string    `json:"text"`
	Since time.Time `json:"since"`
}

// Service is one supervised program.
type Service struct {
	Name string `json:"name"`
	// State is one of starting, ready, backoff, stopping, stopped, failed.
	State    string        `json:"state"`
	PID      int           `json:"pid,omitempty"`
	Restarts int           `json:"restarts"`
	Uptime   time.Duration `json:"uptime,omitempty"`
	// RSS is the memory of its process in bytes, 0 without one.
	RSS uint64 `json:"rss,omitempty"`
	// LastExit says how the process before ended, with its last log line.
	LastExit string `json:"lastExit,omitempty"`
}

// MediaModule counts the media workers of one module: those that there should be, and those that are ready.
type MediaModule struct {
	Number  int `json:"number"`
	Workers int `json:"workers"`
	Ready   int `json:"ready"`
}

// Step is one step of the start-up chain.
type Step struct {
	Name     string        `json:"name"`
	Duration time.Duration `json:"duration"`
	Error    string        `json:"error,omitempty"`
}

// Memory in bytes.
type Memory struct {
	Total     uint64 `json:"total"`
	Available uint64 `json:"available"`
	// InitRSS is the resident size of PID 1.
	InitRSS uint64 `json:"initRSS"`
}

// Filesystem is one row of df. Sizes in bytes.
type Filesystem struct {
	Device  string `json:"device"`
	Mount   string `json:"mount"`
	Size    uint64 `json:"size"`
	Used    uint64 `json:"used"`
	Free    uint64 `json:"free"`
	Inodes  uint64 `json:"inodes"`
	IUsed   uint64 `json:"iused"`
	IFree   uint64 `json:"ifree"`
	Comment string `json:"comment,omitempty"`
}

// Version is one installed version: one EFI image on the EFI system partition.
type Version struct {
	// Number is the install counter.
	Number int `json:"number"`
	// Version and Build as in [Release], read from the image itself.
	Version string `json:"version"`
	Build   string `json:"build"`
	Size    int64  `json:"size"`
	// State is one of running, committed, trial, failed.
	State string `json:"state"`
	// Trial is true for a version that has not committed itself; TriesLeft counts its starts to come.
	Trial     bool   `json:"trial,omitempty"`
	TriesLeft int    `json:"triesLeft,omitempty"`
	File      string `json:"file"`
}

// UpgradePlan is what an upgrade would do.
type UpgradePlan struct {
	File     string `json:"file"`
	Version  string `json:"version"`
	Build    string `json:"build"`
	Platform string `json:"platform"`
	Size     int64  `json:"size"`
	// From is the running release.
	From string `json:"from"`
	// Replaces lists installed versions that make room.
	Replaces []string `json:"replaces,omitempty"`
	// Backup is the automatic backup's file name, once taken.
	Backup string `json:"backup,omitempty"`
}

// Backup is what a .bak file holds.
type Backup struct {
	File     string    `json:"file"`
	Created  time.Time `json:"created"`
	Version  string    `json:"version"`
	Platform string    `json:"platform"`
	Hostname string    `json:"hostname"`
	Schema   int       `json:"schema"`
	Files    int       `json:"files"`
	Size     int64     `json:"size"`
}
