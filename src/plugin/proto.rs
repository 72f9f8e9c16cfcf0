//! The messages and services of Grafana's protocol that the published SDK lacks, compatible on the wire.
//!
//! The numbers are those of `backend.proto` of grafana-plugin-sdk-go 0.296. The SDK's types stand where they say all:
//! theirs of the plugin's context lack what Grafana is set to, and theirs of an answer lack who is to blame for an error.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use grafana_plugin_sdk::pluginv2::{DataQuery, DataSourceInstanceSettings, User};
use prost::bytes::Bytes;
use tonic::{
    Request, Response, Status,
    body::BoxBody,
    codec::{Codec, EncodeBuf, Encoder, ProstCodec},
    codegen::{Body, Service, StdError, http},
    server::{Grpc, NamedService, UnaryService},
};

/// The longest request that is read.
pub const LONGEST: usize = 16 << 20;

/// What Grafana says of itself, of the user and of the data source with every request.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PluginContext {
    /// The organisation.
    #[prost(int64, tag = "1")]
    pub org_id: i64,
    /// The plugin.
    #[prost(string, tag = "2")]
    pub plugin_id: String,
    /// Who asks; nobody where Grafana itself does.
    #[prost(message, optional, tag = "3")]
    pub user: Option<User>,
    /// The data source.
    #[prost(message, optional, tag = "5")]
    pub data_source_instance_settings: Option<DataSourceInstanceSettings>,
    /// What Grafana is set to, such as `GF_SQL_ROW_LIMIT`.
    #[prost(map = "string, string", tag = "6")]
    pub grafana_config: HashMap<String, String>,
    /// The plugin's version.
    #[prost(string, tag = "7")]
    pub plugin_version: String,
    /// `Grafana/12.4.0 (linux; amd64)`
    #[prost(string, tag = "8")]
    pub user_agent: String,
    /// The version of the data source's API.
    #[prost(string, tag = "9")]
    pub api_version: String,
    /// The organisation's namespace.
    #[prost(string, tag = "10")]
    pub namespace: String,
}

/// Some panel queries of one data source.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QueryDataRequest {
    /// Whose they are.
    #[prost(message, optional, tag = "1")]
    pub plugin_context: Option<PluginContext>,
    /// What the request came with.
    #[prost(map = "string, string", tag = "2")]
    pub headers: HashMap<String, String>,
    /// The panel queries.
    #[prost(message, repeated, tag = "3")]
    pub queries: Vec<DataQuery>,
}

/// Their answers.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QueryDataResponse {
    /// By `refId`.
    #[prost(map = "string, message", tag = "1")]
    pub responses: HashMap<String, DataResponse>,
}

/// One answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DataResponse {
    /// Arrow IPC files.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub frames: Vec<Bytes>,
    /// What went wrong, empty if nothing did.
    #[prost(string, tag = "2")]
    pub error: String,
    /// Nothing that Grafana reads.
    #[prost(bytes = "bytes", tag = "3")]
    pub json_meta: Bytes,
    /// As in HTTP.
    #[prost(int32, tag = "4")]
    pub status: i32,
    /// `plugin` or `downstream`.
    #[prost(string, tag = "5")]
    pub error_source: String,
}

/// Nothing.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Empty {}

/// Who answers panel queries.
#[tonic::async_trait]
pub trait Data: Send + Sync + 'static {
    /// Answers all of a request; a wrong one fails alone.
    async fn query_data(&self, request: Request<QueryDataRequest>) -> Result<Response<QueryDataResponse>, Status>;
}

/// `pluginv2.Data`
#[derive(Debug)]
pub struct DataServer<T>(Arc<T>);

impl<T> DataServer<T> {
    /// The service over who answers.
    pub fn new(inner: Arc<T>) -> DataServer<T> {
        DataServer(inner)
    }
}

impl<T> Clone for DataServer<T> {
    fn clone(&self) -> DataServer<T> {
        DataServer(self.0.clone())
    }
}

impl<T> NamedService for DataServer<T> {
    const NAME: &'static str = "pluginv2.Data";
}

impl<T, B> Service<http::Request<B>> for DataServer<T>
where
    T: Data,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<BoxBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        struct QueryData<T>(Arc<T>);
        impl<T: Data> UnaryService<QueryDataRequest> for QueryData<T> {
            type Response = QueryDataResponse;
            type Future = BoxFuture<'static, Result<Response<QueryDataResponse>, Status>>;

            fn call(&mut self, request: Request<QueryDataRequest>) -> Self::Future {
                let inner = self.0.clone();
                Box::pin(async move { inner.query_data(request).await })
            }
        }
        match request.uri().path() {
            "/pluginv2.Data/QueryData" => unary(QueryData(self.0.clone()), request),
            _ => unimplemented(),
        }
    }
}

/// `plugin.GRPCController`, by which go-plugin asks a plugin to end.
#[derive(Clone)]
pub struct ControllerServer(Arc<dyn Fn() + Send + Sync>);

impl ControllerServer {
    /// The service; what it calls begins the end and returns at once.
    pub fn new(shutdown: impl Fn() + Send + Sync + 'static) -> ControllerServer {
        ControllerServer(Arc::new(shutdown))
    }
}

impl NamedService for ControllerServer {
    const NAME: &'static str = "plugin.GRPCController";
}

impl<B> Service<http::Request<B>> for ControllerServer
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<BoxBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        struct Shutdown(Arc<dyn Fn() + Send + Sync>);
        impl UnaryService<Empty> for Shutdown {
            type Response = Empty;
            type Future = std::future::Ready<Result<Response<Empty>, Status>>;

            fn call(&mut self, _: Request<Empty>) -> Self::Future {
                (self.0)();
                std::future::ready(Ok(Response::new(Empty {})))
            }
        }
        match request.uri().path() {
            "/plugin.GRPCController/Shutdown" => unary(Shutdown(self.0.clone()), request),
            _ => unimplemented(),
        }
    }
}

fn unary<S, Q, A, B>(
    service: S,
    request: http::Request<B>,
) -> BoxFuture<'static, Result<http::Response<BoxBody>, Infallible>>
where
    S: UnaryService<Q, Response = A> + Send + 'static,
    S::Future: Future<Output = Result<Response<A>, Status>> + Send,
    Q: prost::Message + Default + 'static,
    A: prost::Message + Default + 'static,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    Box::pin(async move {
        let codec: AtOnce<A, Q> = AtOnce(PhantomData);
        Ok(Grpc::new(codec).max_decoding_message_size(LONGEST).unary(service, request).await)
    })
}

// What tonic does, with room for the whole message from the beginning: tonic's buffer doubles as it fills, which copies a large
// answer again and takes twice its size.
struct AtOnce<A, Q>(PhantomData<(A, Q)>);

impl<A, Q> Codec for AtOnce<A, Q>
where
    A: prost::Message + Default + 'static,
    Q: prost::Message + Default + 'static,
{
    type Encode = A;
    type Decode = Q;
    type Encoder = AtOnceEncoder<A>;
    type Decoder = <ProstCodec<A, Q> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        AtOnceEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<A, Q>::default().decoder()
    }
}

struct AtOnceEncoder<A>(PhantomData<A>);

impl<A: prost::Message> Encoder for AtOnceEncoder<A> {
    type Item = A;
    type Error = Status;

    fn encode(&mut self, item: A, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(item.encoded_len());
        item.encode(buffer).map_err(|cause| Status::internal(format!("the answer could not be encoded: {cause}")))
    }
}

fn unimplemented() -> BoxFuture<'static, Result<http::Response<BoxBody>, Infallible>> {
    Box::pin(async { Ok(Status::unimplemented("this service has no such call").into_http()) })
}
