//! The envelope of an object in protobuf (`k8s.io/apimachinery/pkg/runtime/generated.proto`).

use bytes::Bytes;
use prost::{DecodeError, Message};

/// The media type, of an object and of a watch's events.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What an object begins with.
pub const MAGIC: &[u8] = b"k8s\0";

/// `runtime.Unknown`: an object with its type. Texts are slices of the message that they came in.
#[derive(Clone, PartialEq, Message)]
pub struct Unknown {
    /// What the object is.
    #[prost(message, optional, tag = "1")]
    pub type_meta: Option<TypeMeta>,
    /// The object, as a message of its own.
    #[prost(bytes = "bytes", tag = "2")]
    pub raw: Bytes,
}

/// `runtime.TypeMeta`.
#[derive(Clone, PartialEq, Message)]
pub struct TypeMeta {
    /// Such as `apps/v1`, UTF-8.
    #[prost(bytes = "bytes", tag = "1")]
    pub api_version: Bytes,
    /// Such as `StatefulSet`, UTF-8.
    #[prost(bytes = "bytes", tag = "2")]
    pub kind: Bytes,
}

/// Opens an envelope; `None`: the bytes are none.
///
/// # Errors
/// An envelope that is broken.
pub fn open(bytes: &Bytes) -> Option<Result<Unknown, DecodeError>> {
    let inside = bytes
        .starts_with(MAGIC)
        .then(|| bytes.slice(MAGIC.len()..))?;
    Some(Unknown::decode(inside))
}
