package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"rotunda/boards"
	"rotunda/firmware"
	"rotunda/image/cache"
	"rotunda/image/initramfs"
	"rotunda/image/prompts"
	"rotunda/image/uki"
	"rotunda/services/callbridge/prompts/prompt"
)

// releaseInfo is /etc/rotunda/release.json: what a running version knows about itself.
type releaseInfo struct {
	Version string `json:"version"`
	// Build tells two builds of one release apart: a hash over everything that goes in.
	Build string `json:"build"`
	// Platforms that this version runs on.
	Platforms []string `json:"platforms"`
	Commit    string   `json:"commit"`
	// Date is the time stamp of the sources: no clock can be right that is earlier.
	Date       time.Time `json:"date"`
	SigningKey string    `json:"signingKey"`
}

// osRelease is what the boot loader shows and an upgrade reads without starting the version. There is no VERSION,
// VERSION_ID, BUILD_ID or IMAGE_VERSION on purpose: systemd-boot would start the highest of them, and a downgrade
// could never be installed. Without them it goes by the file name, which is the install counter.
func (r releaseInfo) osRelease() string {
	return fmt.Sprintf("ID=rotunda\nNAME=Rotunda\nPRETTY_NAME=\"Rotunda %s\"\nROTUNDA_VERSION=%s\nROTUNDA_BUILD=%s\n", r.Version, r.Version, r.Build)
}

// parts are the inputs of an image, read and built.
type parts struct {
	source   source
	firmware *firmware.Firmware
	// codecs is nil if no program has any.
	codecs   *firmware.Codecs
	prompts  *prompts.Made
	key      signingKey
	programs []built
	modules  []module
	// licences by module path, and of the Go distribution under "go".
	licences map[string][]string
	// static are the files of the initramfs that change with the kernel or a board only; system those of the file system that is
	// mounted at /system.
	static, system []initramfs.File

	kernel, stub, loader []byte
	commandLine          string
}

// image is one version of Rotunda, ready to be installed.
type image struct {
	parts   *parts
	release releaseInfo
	// files are those of the root file system.
	files []initramfs.File
	efi   []byte
}

func build(ctx context.Context, o options) error {
	p, err := gather(ctx, o)
	if err != nil {
		return err
	}
	v, err := assemble(ctx, o, p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return fmt.Errorf("make output folder: %w", err)
	}
	for _, product := range products {
		if !o.wants(product) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := makers[product](ctx, o, v); err != nil {
			return err
		}
	}
	return nil
}

// makers write one product each.
var makers = map[string]func(context.Context, options, *image) error{
	"efi":     writeEFI,
	"sbom":    writeSBOM,
	"upgrade": writeUpgrade,
	"disk":    writeDisk,
	"ova":     writeOVA,
}

// gather fetches, compiles and reads all inputs.
func gather(ctx context.Context, o options) (*parts, error) {
	p := &parts{commandLine: commandLine(boards.All(), o.CommandLine)}
	var err error
	if p.key, err = loadKey(o.KeyFile); err != nil {
		return nil, err
	}
	if p.source, err = findSource(ctx, o.Epoch); err != nil {
		return nil, err
	}
	if p.firmware, err = firmware.Fetch(ctx, filepath.Join(o.Cache, "firmware")); err != nil {
		return nil, err
	}
	o.Log("kernel %s", p.firmware.KernelRelease)
	for _, f := range []struct {
		name string
		data *[]byte
	}{{p.firmware.Kernel, &p.kernel}, {p.firmware.Stub, &p.stub}, {p.firmware.Loader, &p.loader}} {
		if *f.data, err = os.ReadFile(f.name); err != nil {
			return nil, fmt.Errorf("read firmware: %w", err)
		}
	}
	if slices.ContainsFunc(o.Programs, withCodecs) {
		if p.codecs, err = firmware.FetchCodecs(ctx, filepath.Join(o.Cache, "firmware"), o.Log); err != nil {
			return nil, err
		}
	}
	if p.prompts, err = prompts.Make(ctx, cache.Cache{Dir: filepath.Join(o.Cache, "made")}, prompt.All()); err != nil {
		return nil, err
	}
	if p.programs, err = buildPrograms(ctx, p.source.Root, o.Programs, p.codecs); err != nil {
		return nil, err
	}
	if p.modules, err = linkedModules(ctx, p.source.Root, p.programs); err != nil {
		return nil, err
	}
	goroot, err := goCommand(ctx, p.source.Root, "env", "GOROOT")
	if err != nil {
		return nil, fmt.Errorf("find the Go distribution: %w", err)
	}
	texts, licences, err := goTexts(goroot, p.modules)
	if err != nil {
		return nil, err
	}
	p.licences = licences
	o.Log("%d programs with %d modules", len(p.programs), len(p.modules))
	if p.static, err = staticFiles(p.firmware); err != nil {
		return nil, err
	}
	p.system, err = systemFiles(p, texts)
	return p, err
}

// assemble makes the version: the file system of the programs, the archives around it, the executable.
func assemble(ctx context.Context, o options, p *parts) (*image, error) {
	// What stays in the cache carries a fixed date, not the commit's: each commit would compress it anew.
	static, err := initramfs.Pack(p.static, fallbackDate)
	if err != nil {
		return nil, err
	}
	content, err := initramfs.Pack(p.system, fallbackDate)
	if err != nil {
		return nil, err
	}
	v := &image{parts: p, release: releaseInfo{
		Version: o.Version, Platforms: boards.Platforms(), Commit: p.source.Commit, Date: p.source.Modified.UTC(), SigningKey: p.key.Name,
	}}
	v.release.Build = identity(p, v.release, static, content)
	own, err := ownFiles(p, v.release)
	if err != nil {
		return nil, err
	}
	v.files = slices.Concat(p.static, p.system, own)
	made := cache.Cache{Dir: filepath.Join(o.Cache, "made")}
	system, err := packSystem(ctx, made, p.system, content)
	if err != nil {
		return nil, err
	}
	changing, err := initramfs.Pack(own, p.source.Modified)
	if err != nil {
		return nil, err
	}

	var initrd []byte
	for _, a := range []struct {
		archive []byte
		hard    bool
	}{{static, true}, {changing, true}, {system, false}} {
		compress := func() ([]byte, error) { return initramfs.Compress(a.archive, a.hard) }
		compressed, err := made.Get(fmt.Sprintf("%s %s %v", compressorVersion(), initramfs.Settings, a.hard), a.archive, compress)
		if err != nil {
			return nil, err
		}
		o.Log("archive of %s in %s", mib(len(a.archive)), mib(len(compressed)))
		initrd = append(initrd, compressed...)
	}
	v.efi, err = uki.Build(uki.Parts{
		Stub: p.stub, OSRelease: v.release.osRelease(), CommandLine: p.commandLine, KernelRelease: p.firmware.KernelRelease,
		Initrd: initrd, Kernel: p.kernel,
	})
	return v, err
}

// ownFiles are PID 1 and what is said about the version: the archive that differs from build to build.
func ownFiles(p *parts, r releaseInfo) ([]initramfs.File, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write release: %w", err)
	}
	files := []initramfs.File{
		initramfs.Regular("etc/os-release", 0o644, []byte(r.osRelease())),
		initramfs.Regular("etc/rotunda/keys/"+p.key.Name+".pub", 0o644, p.key.public()),
		initramfs.Regular("etc/rotunda/release.json", 0o644, append(text, '\n')),
	}
	for _, b := range p.programs {
		if !b.mounted() {
			files = append(files, initramfs.Regular(b.Path, 0o755, b.Data))
		}
	}
	return files, nil
}

// identity hashes everything that goes into a version.
func identity(p *parts, r releaseInfo, static, system []byte) string {
	h := sha256.New()
	add := func(name string, data []byte) {
		sum := sha256.Sum256(data)
		fmt.Fprintf(h, "%s %x\n", name, sum)
	}
	fmt.Fprintf(h, "%s %s %d %s\n", r.Version, r.Commit, r.Date.Unix(), p.commandLine)
	add("key", p.key.public())
	add("static", static)
	add("system", system)
	add("kernel", p.kernel)
	add("stub", p.stub)
	add("loader", p.loader)
	for _, b := range p.programs {
		if !b.mounted() {
			add(b.Path, b.Data)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// compressorVersion names the code whose version decides how bytes are compressed.
func compressorVersion() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/klauspost/compress" {
				return d.Version
			}
		}
	}
	return runtime.Version()
}

func mib(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func writeEFI(_ context.Context, o options, v *image) error {
	o.Log("rotunda.efi: Rotunda %s build %s, %s", v.release.Version, v.release.Build, mib(len(v.efi)))
	return product(o, "rotunda.efi", func(f *os.File) error {
		_, err := f.Write(v.efi)
		return err
	})
}

// product writes a file of the output folder and gives it its name when it is complete.
func product(o options, name string, write func(*os.File) error) error {
	f, err := os.CreateTemp(o.Out, "."+name+"-")
	if err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	defer os.Remove(f.Name())
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("make %s: %w", name, err)
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return fmt.Errorf("make %s: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	if err := os.Rename(f.Name(), filepath.Join(o.Out, name)); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	return nil
}
