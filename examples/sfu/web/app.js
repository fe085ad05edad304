// One panel publishes (WHIP), the other watches (WHEP). Both speak to whichever node is chosen, and show who serves them.
"use strict";

const channel = document.querySelector("#channel");
const SILENT = "The node does not answer.";
const PATIENCE = 3000;  // milliseconds that a node has to answer

class Panel {
  constructor(section, makeConnection) {
    this.section = section;
    this.makeConnection = makeConnection;
    this.video = section.querySelector("video");
    this.node = section.querySelector("select");
    this.startButton = section.querySelector(".start");
    this.stopButton = section.querySelector(".stop");
    this.pc = null;
    this.resource = null;
    this.startButton.onclick = () => this.start();
    this.stopButton.onclick = () => this.stop("Stopped.");
  }

  async start() {
    if (!channel.reportValidity()) return;
    this.startButton.disabled = true;
    this.say("Connecting…");
    try {
      this.pc = await this.makeConnection(this.video);
      this.pc.onconnectionstatechange = () => this.connectionChanged();
      await this.negotiate();
      this.stopButton.disabled = false;
    } catch (error) {
      this.pc?.close();
      this.release();
      this.say(error.message, true);
    }
  }

  async negotiate() {
    await this.pc.setLocalDescription(await this.pc.createOffer());
    const endpoint = new URL(`/${this.section.dataset.kind}/${encodeURIComponent(channel.value)}`, this.node.value);
    const response = await fetch(endpoint, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: this.pc.localDescription.sdp,
    });
    const body = await response.text();
    if (!response.ok) throw new Error(body);
    this.resource = new URL(response.headers.get("Location"), endpoint);
    await this.pc.setRemoteDescription({ type: "answer", sdp: body });
  }

  connectionChanged() {
    const state = this.pc?.connectionState;
    if (state === "connected") this.say("Connected.");
    if (state === "failed") this.stop("The connection has failed.", true);
  }

  stop(message, bad = false) {
    hangUp(this.pc, this.resource);
    this.release();
    this.say(message, bad);
  }

  release() {
    for (const track of this.video.srcObject?.getTracks() ?? []) track.stop();
    this.video.srcObject = null;
    this.pc = this.resource = null;
    this.startButton.disabled = false;
    this.stopButton.disabled = true;
    this.show({});
  }

  // Which node and which process serve this panel. A crash shows as a new process; the picture does not notice.
  async refresh() {
    const resource = this.resource;
    if (!resource) return;
    const response = await ask(resource);
    if (resource !== this.resource) return;
    if (response === null) return this.say(SILENT, true);
    if (response.status === 404) {
      this.resource = null;
      return this.stop(`The session has ended: ${response.text}.`, true);
    }
    if (!response.ok) return;
    const session = JSON.parse(response.text);
    this.show({
      node: session.node,
      "session process": session.process ?? "restarting…",
      "channel process": session.channel_process ?? "restarting…",
      picture: await this.pictureSize(),
    });
    this.connectionChanged();
  }

  async pictureSize() {
    for (const report of (await this.pc.getStats()).values()) {
      if (report.kind !== "video" || !report.frameWidth || !/^(in|out)bound-rtp$/.test(report.type)) continue;
      const frames = report.framesDecoded ?? report.framesEncoded;
      return `${report.frameWidth}×${report.frameHeight}, ${report.framesPerSecond ?? 0} frames/s, ${frames} frames`;
    }
    return "not yet";
  }

  show(facts) {
    const cells = Object.entries(facts).flatMap(([name, value]) => [element("dt", name), element("dd", value)]);
    this.section.querySelector("dl").replaceChildren(...cells);
  }

  say(message, bad = false) {
    const line = this.section.querySelector(".message");
    if (line.textContent !== message) line.textContent = message;
    line.classList.toggle("bad", bad);
  }
}

// The session first: a connection that closes before would end it too, and leave nothing to delete.
async function hangUp(pc, resource) {
  if (resource) await fetch(resource, { method: "DELETE", keepalive: true }).catch(() => {});
  pc?.close();
}

async function publishing(video) {
  if (!navigator.mediaDevices) throw new Error("The camera needs https, or http on localhost.");
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: true,
    video: { width: { ideal: 640 }, height: { ideal: 480 } },
  });
  video.srcObject = stream;
  const pc = new RTCPeerConnection();
  for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: "sendonly", streams: [stream] });
  return pc;
}

async function watching(video) {
  const pc = new RTCPeerConnection();
  pc.addTransceiver("video", { direction: "recvonly" });
  pc.addTransceiver("audio", { direction: "recvonly" });
  pc.ontrack = ({ streams }) => { video.srcObject = streams[0]; };
  return pc;
}

// What is served there, null where nobody answers.
async function ask(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE) });
    return { ok: response.ok, status: response.status, text: await response.text() };
  } catch {
    return null;
  }
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

const publisher = new Panel(document.querySelector("#publish"), publishing);
const viewer = new Panel(document.querySelector("#watch"), watching);

// The chosen node stays chosen while it is there; at first one watches elsewhere than one publishes.
function offerNodes(panel, cluster, preferred) {
  const chosen = panel.node.value || cluster[preferred % cluster.length].url;
  panel.node.replaceChildren(...cluster.map(({ node, url }) => new Option(node, url, false, url === chosen)));
}

async function refresh() {
  const response = await ask("/api/status");
  const trouble = document.querySelector("#trouble");
  const message = response === null ? SILENT : "";
  if (trouble.textContent !== message) trouble.textContent = message;
  document.querySelector("#cluster").classList.toggle("stale", !response?.ok);
  if (response?.ok) {
    const status = JSON.parse(response.text);
    document.querySelector("#home").textContent = status.node;
    document.querySelector("#cluster").replaceChildren(...status.cluster.map(({ node }) => element("li", node)));
    offerNodes(publisher, status.cluster, 0);
    offerNodes(viewer, status.cluster, status.cluster.length - 1);
  }
  await Promise.all([publisher.refresh(), viewer.refresh()]);
}

async function refreshForever() {
  await refresh();
  setTimeout(refreshForever, 1000);
}

addEventListener("pagehide", () => [publisher, viewer].forEach((panel) => panel.stop("Closed.")));
refreshForever();
