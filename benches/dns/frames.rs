//! An API server of which only the octets of its watches count: they say what it is told to say, at once.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::world::World;

/// Watches of slices that are open.
type Streams = Arc<Mutex<Vec<TcpStream>>>;

/// The server; it serves as long as the program runs.
pub(crate) struct Frames {
    pub(crate) kubeconfig: PathBuf,
    _folder: tempfile::TempDir,
    streams: Streams,
}

impl Frames {
    pub(crate) fn serve(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        let server = format!("http://{}", listener.local_addr().unwrap());
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {"server": server}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
            "users": [{"name": "bench", "user": {}}],
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let (objects, streams) = (Arc::new(world.objects()), Streams::default());
        let watching = Arc::clone(&streams);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (objects, watching) = (Arc::clone(&objects), Arc::clone(&watching));
                std::thread::spawn(move || serve(stream, &objects, &watching));
            }
        });
        Self {
            kubeconfig,
            _folder: folder,
            streams,
        }
    }

    /// Says this.
    pub(crate) fn send(&self, frame: &[u8]) {
        for stream in self.streams.lock().unwrap().iter_mut() {
            // A server that was ended does not listen any more.
            let _sent = stream.write_all(frame);
        }
    }
}

/// One event of a watch, as a chunk of HTTP/1.1.
pub(crate) fn frame(what: &str, object: &Value) -> Vec<u8> {
    let line = json!({"type": what, "object": object}).to_string();
    format!("{:x}\r\n{line}\n\r\n", line.len() + 1).into_bytes()
}

/// Answers one request: a watch gets its first list, and stays open.
fn serve(mut stream: TcpStream, objects: &[Value], watching: &Streams) {
    stream.set_nodelay(true).unwrap();
    let head = BufReader::new(&stream).lines().map_while(Result::ok);
    let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
    let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else {
        return;
    };
    let kinds = [
        ("/namespaces?", "Namespace"),
        ("/services?", "Service"),
        ("/endpointslices?", "EndpointSlice"),
    ];
    let kind = kinds.iter().find(|(part, _)| path.contains(part));
    let Some((_, kind)) = kind.filter(|_| path.contains("watch=true")) else {
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})
            .to_string();
        let head = "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\nconnection: close";
        let _sent = write!(
            stream,
            "{head}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        return;
    };
    let mut first = b"HTTP/1.1 200 OK\r\ncontent-type: application/json;stream=watch\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for object in objects.iter().filter(|object| object["kind"] == *kind) {
        first.extend(frame("ADDED", object));
    }
    let end = json!({
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}},
    });
    first.extend(frame("BOOKMARK", &end));
    stream.write_all(&first).unwrap();
    if *kind == "EndpointSlice" {
        watching.lock().unwrap().push(stream);
    } else {
        // The watch stays open, and says nothing more.
        std::mem::forget(stream);
    }
}
