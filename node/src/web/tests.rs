use super::*;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tower::ServiceExt;

async fn get_text(router: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

struct Node {
    router: Router,
    clock: Arc<AtomicU64>,
    progress: Arc<Progress>,
    synced: Arc<AtomicBool>,
}

fn node() -> Node {
    let clock = Arc::new(AtomicU64::new(10_000));
    let progress = Arc::new(Progress::new(10_000));
    let synced = Arc::new(AtomicBool::new(true));
    let registry = Registry::new();
    let gauge = prometheus::IntGauge::new("rota_test", "A test.").unwrap();
    registry.register(Box::new(gauge.clone())).unwrap();
    let (time, is_synced) = (clock.clone(), synced.clone());
    let web = Web::new(registry, progress.clone(), Arc::new(move || time.load(Ordering::SeqCst)))
        .with_check(
            Check::new("synced", Severity::Critical, move || {
                (is_synced.load(Ordering::SeqCst), "3 s".to_owned())
            })
            .wants("< 10 s", "look at the peers"),
        )
        .with_check(Check::new("l1", Severity::Degraded, || (false, "down".to_owned())))
        .with_pull(move || gauge.inc());
    Node { router: routes(web), clock, progress, synced }
}

#[tokio::test]
async fn a_loop_that_stands_still_is_not_live() {
    let node = node();
    assert_eq!(get_text(&node.router, "/livez").await.0, StatusCode::OK);
    node.clock.store(15_000, Ordering::SeqCst);
    let (status, text) = get_text(&node.router, "/livez").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("5 s"), "{text}");
    node.progress.touch(14_900);
    assert_eq!(get_text(&node.router, "/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn only_a_critical_check_makes_a_node_unready_and_each_says_why() {
    let node = node();
    let (status, text) = get_text(&node.router, "/readyz?verbose").await;
    assert_eq!(status, StatusCode::OK);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["ready"], true);
    let l1 = serde_json::json!({
        "id": "l1", "ok": false, "severity": "degraded", "value": "down", "want": "", "hint": ""
    });
    assert_eq!(json["checks"][1], l1);
    node.synced.store(false, Ordering::SeqCst);
    let (status, text) = get_text(&node.router, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&json["ready"], &json["checks"][0]["hint"]),
        (&false.into(), &"look at the peers".into())
    );
}

#[tokio::test]
async fn metrics_are_text_and_gauges_are_set_when_asked() {
    let node = node();
    for expected in ["rota_test 1", "rota_test 2"] {
        let (status, text) = get_text(&node.router, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn it_listens_and_stops_when_told() {
    let stop = CancellationToken::new();
    let web = Web::new(Registry::new(), Arc::new(Progress::new(0)), Arc::new(|| 0));
    stop.cancel();
    serve_web(([127, 0, 0, 1], 0).into(), web, stop).await.unwrap();
}
